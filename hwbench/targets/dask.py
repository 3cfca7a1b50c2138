"""A board of a rack as a target: a worker of a Dask scheduler runs and measures bundles, one at a time."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwbench.machine import device_profiles
from hwbench.machine.gpu_timing import GpuTimes
from hwbench.machine.identity import Machine
from hwbench.rack import scheduler
from hwbench.rack.boards import Board, choose_board
from hwbench.rack.scheduler_address import parse_scheduler
from hwbench.rack.worker_files import find
from hwbench.rack.worker_tasks import alone
from hwbench.targets.local import LocalTarget
from runtimes.codec import decode, encode
from runtimes.errors import UnsupportedError, UsageError
from runtimes.profile import HardwareProfile
from runtimes.sampling.closed_loop import Block, SamplingPlan


@dataclass(frozen=True)
class DaskTarget:
    """A target that runs bundles on one board; see `open_dask`.

    All methods raise BoardLostError if the board's worker or the scheduler is gone.

    Attributes:
        kind: the resource that a measurement takes, so that the board does one at a time.
        machine: the board, as it describes itself.
        run_limit_s: the longest that `run` may take before its process is killed.
    """

    board: Board
    kind: str
    machine: Machine
    run_limit_s: float = 3600.0

    @property
    def name(self) -> str:
        """The worker's name."""
        return f"the board {self.board.name}"

    def check_is(self, profile: HardwareProfile) -> None:
        """Check that the board is a profile's device, or one like it.

        Raises:
            UnsupportedError: it is not.
        """
        if not device_profiles.fits(profile, self.machine):
            raise UnsupportedError(
                f"The board {self.board.name} ({self.machine.board or self.machine.cpu}, {self.machine.arch}) offers "
                f"'{self.kind}' and is no {profile.title}; start its worker with --resources of what it is."
            )

    def run(self, bundle: Path, inputs: Path, outputs: Path) -> None:
        """See `Runner`."""
        files = {"bundle": bundle, "inputs": inputs}
        outputs.write_bytes(self.board.call_with(_run, files, self.run_limit_s, kind=self.kind))

    def sample(self, bundle: Path, inputs: Path, plan: SamplingPlan) -> Block:
        """See `Target`."""
        files = {"bundle": bundle, "inputs": inputs}
        return decode(Block, self.board.call_with(_sample, files, encode(plan), kind=self.kind), "block")

    def gpu_times(self, bundle: Path, inputs: Path) -> GpuTimes:
        """See `GpuTarget`."""
        files = {"bundle": bundle, "inputs": inputs}
        return decode(GpuTimes, self.board.call_with(_gpu_times, files, kind=self.kind), "gpu_times")


@contextlib.contextmanager
def open_dask(text: str, kind: str = "", worker: str = "") -> Iterator[DaskTarget]:
    """Open a board of a kind that a scheduler has, one that is free if there is one.

    Args:
        text: the scheduler, as in tls://rack:8786; a kind may follow, as in tls://rack:8786/lab-rpi5.
        kind: the kind of board, if the address names none.
        worker: the address of the worker to take; any, if empty.

    Raises:
        UsageError: the address is wrong or names no kind, the scheduler is not secured, or no worker offers the kind.
        BoardLostError: no scheduler answers, or the worker is gone.
    """
    address = parse_scheduler(text)
    kind = address.kind or kind
    if not kind:
        raise UsageError(
            f"'{text}' names no kind of board; give one device with --profile, or a kind, as in {text}/rpi5."
        )
    with scheduler.connect(address) as client:
        board = choose_board(client, kind, worker)
        yield DaskTarget(board, kind, board.describe().machine)


# What follows runs on the worker, which calls it by name.


def _run(limit_s: float, *, bundle: str, inputs: str) -> bytes:
    """Run a bundle on samples, both held here by name, and return the outputs as the bytes of an .npz."""
    with alone(), tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        outputs = Path(folder, "outputs.npz")
        LocalTarget(limit_s).run(find(bundle), find(inputs), outputs)
        return outputs.read_bytes()


def _sample(plan: Any, *, bundle: str, inputs: str) -> Any:
    """Measure one block by an encoded plan, and return it encoded."""
    with alone():
        return encode(LocalTarget().sample(find(bundle), find(inputs), decode(SamplingPlan, plan, "the plan")))


def _gpu_times(*, bundle: str, inputs: str) -> Any:
    """Time the parts of inferences on a GPU, and return them encoded."""
    with alone():
        return encode(LocalTarget().gpu_times(find(bundle), find(inputs)))
