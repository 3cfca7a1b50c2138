"""This machine as a target: `python -m runtimes`, the code that runs on a device, in a child process."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwbench.child_process import Interpreter, run_module
from hwbench.machine.gpu_timing import GpuTimes
from hwbench.machine.identity import Machine, this_machine
from hwbench.machine.instruction_counters import Counting
from runtimes.codec import decode, encode
from runtimes.profilers import Profile
from runtimes.sampling.closed_loop import Block, SamplingPlan

_STARTUP_S = 60.0  # an interpreter, a runtime and a large model, on a slow disk
PROFILE_LIMIT_S = 300.0  # a profile that takes longer counts as hung
_COUNT_LIMIT_S = 900.0  # valgrind takes 50 times as long
_GPU_LIMIT_S = 300.0  # the start, and 220 inferences of up to a second on a GPU
SAME_EVERY_TIME = {"PYTHONHASHSEED": "0"}  # or dictionaries of names would differ between processes


@dataclass(frozen=True)
class LocalTarget:
    """A target that runs bundles on this machine.

    Attributes:
        run_limit_s: the longest that `run` may take before its process is killed.
    """

    run_limit_s: float = 3600.0

    @property
    def machine(self) -> Machine:
        """This machine."""
        return this_machine()

    def run(self, bundle: Path, inputs: Path, outputs: Path) -> None:
        """See `Target`.

        Raises:
            BackendError: the process failed; the message is the error that it wrote to stderr.
            CrashError: the process died or hung.
        """
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            paths = ["--inputs", str(inputs.absolute()), "--outputs", str(outputs.absolute())]
            arguments = ["run", str(bundle.absolute()), *paths, "--any-machine"]
            self._run_module("runtimes", arguments, Path(folder), self.run_limit_s)

    def sample(self, bundle: Path, inputs: Path, plan: SamplingPlan) -> Block:
        """See `Target`.

        Raises:
            BackendError: the process failed; see `run`.
        """
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            out = Path(folder, "block.json")
            arguments = ["sample", str(bundle.absolute()), "--inputs", str(inputs.absolute()), "--out", str(out)]
            arguments += ["--plan", json.dumps(encode(plan)), "--any-machine"]
            self._run_module("runtimes", arguments, Path(folder), limit_s(plan))
            return decode(Block, json.loads(out.read_text()), "block")

    def profile(self, bundle: Path, inputs: Path) -> Profile:
        """See `ProfilingTarget`.

        Raises:
            BackendError: the process failed, as it does for a runtime without a profiler; see `run`.
        """
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            out = Path(folder, "profile.json")
            arguments = ["profile", str(bundle.absolute()), "--inputs", str(inputs.absolute()), "--out", str(out)]
            self._run_module("runtimes", [*arguments, "--any-machine"], Path(folder), PROFILE_LIMIT_S)
            return decode(Profile, json.loads(out.read_text()), "a profile")

    def count_instructions(self, bundle: Path, inputs: Path, counting: Counting) -> tuple[int, ...]:
        """See `CountingTarget`.

        Raises:
            BackendError: the process failed; see `run`.
        """
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            out, dumps = Path(folder, "counts.json"), Path(folder, "callgrind")
            arguments = ["count", str(bundle.absolute()), "--inputs", str(inputs.absolute()), "--out", str(out)]
            under = counting.command(dumps)
            arguments += ["--dumps", str(dumps)] if under else []
            self._run_module("runtimes", [*arguments, "--any-machine"], Path(folder), _COUNT_LIMIT_S, under)
            return tuple(json.loads(out.read_text()))

    def _run_module(
        self, module: str, arguments: Sequence[str], folder: Path, limit_s: float, under: Sequence[str] = ()
    ) -> None:
        if not under:
            return run_module(module, arguments, folder, limit_s)
        python = Interpreter((*under, sys.executable), {**os.environ, **SAME_EVERY_TIME})
        return run_module(module, arguments, folder, limit_s, python)

    def gpu_times(self, bundle: Path, inputs: Path) -> GpuTimes:
        """See `Target`.

        Raises:
            BackendError: the process failed; see `run`.
        """
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            out = Path(folder, "gpu_times.json")
            arguments = [str(bundle.absolute()), "--inputs", str(inputs.absolute()), "--out", str(out)]
            self._run_module("hwbench.machine.gpu_process", arguments, Path(folder), _GPU_LIMIT_S)
            return decode(GpuTimes, json.loads(out.read_text()), "gpu_times")


def limit_s(plan: SamplingPlan) -> float:
    """Return the time in seconds after which a process that follows the plan must have hung."""
    return _STARTUP_S + plan.warmup_limit_s + 2 * plan.time_limit_s
