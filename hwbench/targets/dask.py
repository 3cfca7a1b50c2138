"""A board of a rack as a target: a worker of a Dask scheduler runs and measures bundles, one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hwbench.machine import device_profiles
from hwbench.machine.gpu_timing import GpuTimes
from hwbench.machine.identity import Machine
from hwbench.rack import scheduler, worker_tasks
from hwbench.rack.boards import Board, choose_board
from hwbench.rack.scheduler_address import parse_scheduler
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
        outputs.write_bytes(self.board.call_with(worker_tasks.run, files, self.run_limit_s, kind=self.kind))

    def sample(self, bundle: Path, inputs: Path, plan: SamplingPlan) -> Block:
        """See `Target`."""
        files = {"bundle": bundle, "inputs": inputs}
        return decode(Block, self.board.call_with(worker_tasks.sample, files, encode(plan), kind=self.kind), "block")

    def gpu_times(self, bundle: Path, inputs: Path) -> GpuTimes:
        """See `GpuTarget`."""
        files = {"bundle": bundle, "inputs": inputs}
        return decode(GpuTimes, self.board.call_with(worker_tasks.gpu_times, files, kind=self.kind), "gpu_times")


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
