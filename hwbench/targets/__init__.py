"""Where measuring happens: one module per kind of target."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from runtimes.errors import BackendError
from runtimes.sampling.closed_loop import Block, SamplingPlan


class CrashError(BackendError):
    """The process that ran a model died or hung, rather than say what is wrong."""


class Target(Protocol):
    """A machine that runs bundles, each call in a process of its own."""

    def run(self, bundle: Path, inputs: Path, outputs: Path) -> None:
        """Run every sample of `inputs` (.npz) and write the outputs, samples first, to `outputs` (.npz)."""

    def sample(self, bundle: Path, inputs: Path, plan: SamplingPlan) -> Block:
        """Measure one block of raw latency samples."""
