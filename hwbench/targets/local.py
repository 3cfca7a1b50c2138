"""This machine: `python -m runtimes`, the code that runs on a device, in a child process."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hwbench.child_process import run_module
from runtimes.codec import decode, encode
from runtimes.sampling.closed_loop import Block, SamplingPlan

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
            arguments = ["run", str(bundle.absolute()), *paths, "--any-machine"]
            run_module("runtimes", arguments, Path(folder), self.run_limit_s)

    def sample(self, bundle: Path, inputs: Path, plan: SamplingPlan) -> Block:
        """See `Target`.

        Raises:
            BackendError: as `run`.
        """
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            out = Path(folder, "block.json")
            arguments = ["sample", str(bundle.absolute()), "--inputs", str(inputs.absolute()), "--out", str(out)]
            arguments += ["--plan", json.dumps(encode(plan)), "--any-machine"]
            run_module("runtimes", arguments, Path(folder), limit_s(plan))
            return decode(Block, json.loads(out.read_text()), "block")


def limit_s(plan: SamplingPlan) -> float:
    """When a process that follows the plan must hang."""
    return _STARTUP_S + plan.warmup_limit_s + 2 * plan.time_limit_s
