"""Child process: a Python module that may crash or hang without taking its parent along."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwbench.targets import CrashError
from runtimes.errors import BackendError
from runtimes.processes.parent_death import child_environment

Process = subprocess.Popen[Any]

_of_thread = threading.local()
_TRACEBACK = "Traceback (most recent call last):"
_MAX_LENGTH = 1000  # characters of an error
_FAILED = "The process that runs the model failed"


@dataclass(frozen=True)
class Interpreter:
    """A Python, which may be another machine's on an emulator.

    Attributes:
        command: the command that starts it, before the arguments of Python.
        environment: the variables that its processes see; None for those of this process.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str] | None = None


def track_in(processes: set[Process]) -> None:
    """Track the processes that this thread runs in a set, so that another thread can kill them."""
    _of_thread.processes = processes


@contextlib.contextmanager
def tracked(process: Process) -> Iterator[None]:
    """Track a process that this thread waits for; see `track_in`."""
    processes: set[Process] = getattr(_of_thread, "processes", set())
    processes.add(process)
    try:
        yield
    finally:
        processes.discard(process)


def run_module(
    module: str, arguments: Sequence[str], folder: Path, limit_s: float, python: Interpreter | None = None
) -> None:
    """Run `python -m MODULE ARGUMENTS` until it ends.

    Args:
        module: a module whose process runs a model, and calls `end_with_parent` first.
        arguments: its arguments; files by absolute paths.
        folder: the working directory, which holds no Python files: `python -m` would import them.
        limit_s: time limit.
        python: the interpreter; the one that runs this process, if None.

    Raises:
        BackendError: the process failed; the message is the error that it wrote to stderr.
        CrashError: the process died or hung.
        OSError: the process met a full disk.
    """
    python = python or Interpreter((sys.executable,))
    command = [*python.command, "-m", module, *arguments]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=child_environment(python.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:  # at once: leaving the `with` block waits for the process
            with tracked(process):
                _, stderr = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired as hung:
            written: object = hung.stderr or b""  # bytes, in spite of the encoding
            text = written.decode("utf-8", "replace") if isinstance(written, bytes) else str(written)
            raise hung_error(limit_s, text) from None
        finally:
            process.kill()  # no effect on a process that has ended
    check_ended(process.returncode, stderr, str(folder.parent))


def hung_error(limit_s: float, stderr: str) -> CrashError:
    """Make the error of a process that ran a model and was killed after its time limit."""
    return CrashError(f"The process that runs the model hung: no answer in {limit_s:g} s.{_tail(stderr)}")


def check_ended(returncode: int, stderr: str, temporary: str) -> None:
    """Check that a process that ran a model ended well.

    Args:
        returncode: its exit code; negative for a signal.
        stderr: what it wrote.
        temporary: the folder of its temporary files.

    Raises:
        BackendError: it failed; the message is the error that it wrote.
        CrashError: it died.
        OSError: it met a full disk.
    """
    if returncode < 0:
        raise CrashError(f"The process that runs the model died of signal {-returncode}.{_tail(stderr)}")
    if returncode != 0:
        sentence = _sentence(stderr)
        # Only the child's words tell that its disk, that of the temporary folder, is full.
        if os.strerror(errno.ENOSPC) in sentence:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), temporary)
        raise BackendError(sentence or f"The process that runs the model ended with exit code {returncode}.")


def _sentence(stderr: str) -> str:
    """Find a process's error in its stderr: its last "Error: ", or the error that ends its last traceback."""
    text = stderr.strip()
    lines = text.splitlines()
    errors = [number for number, line in enumerate(lines) if line.startswith("Error: ")]
    if errors:
        return "\n".join(lines[errors[-1] :]).removeprefix("Error: ")[:_MAX_LENGTH]
    traces = [number for number, line in enumerate(lines) if line.strip() == _TRACEBACK]
    if not traces:
        return text[-_MAX_LENGTH:]
    if os.environ.get("EDGEWRIGHT_TRACEBACK"):
        sys.stderr.write(text + "\n")
    after = range(traces[-1] + 1, len(lines))
    error = next((number for number in after if lines[number] and not lines[number][0].isspace()), len(lines) - 1)
    return f"{_FAILED}: " + "\n".join(lines[error:])[:_MAX_LENGTH]


def _tail(stderr: str) -> str:
    lines = stderr.strip().splitlines()[-3:]
    return " It said: " + " | ".join(lines) if lines else ""
