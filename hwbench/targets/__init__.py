"""Targets: machines that run and measure bundles, one module per kind."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from hwbench.machine.gpu_timing import GpuTimes
from hwbench.machine.identity import Machine
from hwbench.machine.instruction_counters import Counting
from runtimes.errors import BackendError
from runtimes.profile import HardwareProfile
from runtimes.profilers import Profile
from runtimes.sampling.closed_loop import Block, SamplingPlan


class CrashError(BackendError):
    """The process that ran a model died or hung without reporting an error."""


class Runner(Protocol):
    """A machine that computes what bundles compute, each call in a process of its own.

    All methods raise BackendError if that process failed, and CrashError if it died or hung.
    """

    def run(self, bundle: Path, inputs: Path, outputs: Path) -> None:
        """Run every sample of `inputs` (.npz) and write the outputs, samples first, to `outputs` (.npz)."""


class Target(Runner, Protocol):
    """A machine whose time counts, too: it measures bundles."""

    @property
    def machine(self) -> Machine:
        """The machine, by which its figures are compared with others."""

    def sample(self, bundle: Path, inputs: Path, plan: SamplingPlan) -> Block:
        """Measure one block of raw latency samples."""


class GpuTarget(Target, Protocol):
    """A target that can tell the parts of an inference's time on its GPU."""

    def gpu_times(self, bundle: Path, inputs: Path) -> GpuTimes:
        """Time the parts of inferences of a bundle that runs on a GPU."""


class BoardTarget(GpuTarget, Protocol):
    """A target that is another machine, which has a name and may be the wrong one."""

    @property
    def name(self) -> str:
        """The board in words, as the subject of a sentence."""

    def check_is(self, profile: HardwareProfile) -> None:
        """Raise UnsupportedError unless the board is a profile's device, or one like it."""


@runtime_checkable
class ProfilingTarget(Target, Protocol):
    """A target that can tell the time of each node of a model, and where it runs."""

    def profile(self, bundle: Path, inputs: Path) -> Profile:
        """Profile a bundle on single inferences, those of `inputs` (.npz) in turn."""


@runtime_checkable
class CountingTarget(Target, Protocol):
    """A target that can count the instructions of an inference."""

    def count_instructions(self, bundle: Path, inputs: Path, counting: Counting) -> tuple[int, ...]:
        """Count the instructions of single inferences in a process."""
