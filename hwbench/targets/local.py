"""This machine: `python -m runtimes`, the code that runs on a device, in a child process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hwbench.targets import CrashError
from runtimes.codec import decode, encode
from runtimes.errors import BackendError
from runtimes.sampling import Block, SamplingPlan

_STARTUP_S = 60.0  # an interpreter, a runtime and a large model, on a slow disk


@dataclass(frozen=True)
class LocalTarget:
    """Runs bundles here.

    Attributes:
        run_limit_s: the longest that `run` may take before its process is killed.
    """

    run_limit_s: float = 3600.0

    def run(self, bundle: Path, inputs: Path, outputs: Path) -> None:
        """See `Target`.

        Raises:
            BackendError: the process failed; what it wrote to stderr is in the message. A CrashError, where it
                crashed or hung.
        """
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            paths = ["--inputs", str(inputs.absolute()), "--outputs", str(outputs.absolute())]
            call("runtimes", ["run", str(bundle.absolute()), *paths, "--any-machine"], self.run_limit_s, folder)

    def sample(self, bundle: Path, inputs: Path, plan: SamplingPlan) -> Block:
        """See `Target`.

        Raises:
            BackendError: as `run`.
        """
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            out = Path(folder, "block.json")
            arguments = ["sample", str(bundle.absolute()), "--inputs", str(inputs.absolute()), "--out", str(out)]
            arguments += ["--plan", json.dumps(encode(plan)), "--any-machine"]
            call("runtimes", arguments, limit_s(plan), folder)
            return decode(Block, json.loads(out.read_text()), "block")


def limit_s(plan: SamplingPlan) -> float:
    """When a process that follows the plan must hang."""
    return _STARTUP_S + plan.warmup_limit_s + 2 * plan.time_limit_s


def call(module: str, arguments: list[str], limit_s: float, folder: str) -> None:
    """Run one of our modules in a folder of its own: `python -m` would import what lies in the user's.

    Raises:
        BackendError: as `LocalTarget.run`.
    """
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired as hung:
        said: object = hung.stderr or b""  # bytes, whatever the encoding asked for
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise CrashError(f"The process that runs the model hung: no answer in {limit_s:g} s.{_tail(text)}") from None
    if done.returncode < 0:
        raise CrashError(f"The process that runs the model died of signal {-done.returncode}.{_tail(done.stderr)}")
    if done.returncode != 0:
        said = done.stderr.strip().removeprefix("Error: ")[-1000:]
        raise BackendError(said or f"The process that runs the model ended with exit code {done.returncode}.")


def _tail(stderr: str) -> str:
    lines = stderr.strip().splitlines()[-3:]
    return " It said: " + " | ".join(lines) if lines else ""
