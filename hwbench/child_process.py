"""A Python module in a process of its own, which may crash or hang without taking its parent along."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from hwbench.targets import CrashError
from runtimes.errors import BackendError

Process = subprocess.Popen[str]

_here = threading.local()
_TRACEBACK = "Traceback (most recent call last):"
_LONGEST = 1000  # characters
_FAILED = "The process that runs the model failed"


def collect(processes: set[Process]) -> None:
    """Let what this thread runs be seen while it runs, for another thread to kill it."""
    _here.processes = processes


def run_module(module: str, arguments: Sequence[str], folder: Path, limit_s: float) -> None:
    """`python -m MODULE ARGUMENTS`, until it ends.

    Args:
        module: whose process runs a model.
        arguments: its own; files by absolute paths.
        folder: where it runs, which holds nothing that Python could import: `python -m` would.
        limit_s: how long it may take.

    Raises:
        BackendError: it failed; what it wrote to stderr is in the message. A CrashError, where it died or hung.
    """
    command = [sys.executable, "-m", module, *arguments]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, cwd=folder, stdin=quiet, stdout=quiet, stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
    ) as process:
        seen: set[Process] = getattr(_here, "processes", set())
        seen.add(process)
        try:
            _, stderr = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired as hung:
            said: object = hung.stderr or b""  # bytes, whatever the encoding asked for
            text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
            raise CrashError(
                f"The process that runs the model hung: no answer in {limit_s:g} s.{_tail(text)}"
            ) from None
        finally:
            process.kill()  # which does nothing to one that has ended
            seen.discard(process)
    if process.returncode < 0:
        raise CrashError(f"The process that runs the model died of signal {-process.returncode}.{_tail(stderr)}")
    if process.returncode != 0:
        said = _sentence(stderr)
        raise BackendError(said or f"The process that runs the model ended with exit code {process.returncode}.")


def _sentence(stderr: str) -> str:
    """What a process said of its failure: its last "Error: ", or the error that its last traceback ends with."""
    said = stderr.strip()
    lines = said.splitlines()
    told = [number for number, line in enumerate(lines) if line.startswith("Error: ")]
    if told:
        return "\n".join(lines[told[-1] :]).removeprefix("Error: ")[:_LONGEST]
    traces = [number for number, line in enumerate(lines) if line.strip() == _TRACEBACK]
    if not traces:
        return said[-_LONGEST:]
    if os.environ.get("EDGEWRIGHT_TRACEBACK"):
        sys.stderr.write(said + "\n")
    after = range(traces[-1] + 1, len(lines))
    error = next((number for number in after if lines[number] and not lines[number][0].isspace()), len(lines) - 1)
    return f"{_FAILED}: " + "\n".join(lines[error:])[:_LONGEST]


def _tail(stderr: str) -> str:
    lines = stderr.strip().splitlines()[-3:]
    return " It said: " + " | ".join(lines) if lines else ""
