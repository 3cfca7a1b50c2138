"""A board of a rack as a target: a worker of a Dask scheduler runs and measures bundles, one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hwbench.machine.gpu_timing import GpuTimes
from hwbench.machine.identity import Machine
from hwbench.rack import scheduler, worker_tasks
from hwbench.rack.boards import Board, choose_board
from runtimes.codec import decode, encode
from runtimes.sampling.closed_loop import Block, SamplingPlan


@dataclass(frozen=True)
class DaskTarget:
    """A target that runs bundles on one board; see `open_board`.

    All methods raise BoardLostError if the board's worker is gone.

    Attributes:
        kind: the resource that a measurement takes, so that the board does one at a time.
        machine: the board.
        run_limit_s: the longest that `run` may take before its process is killed.
    """

    board: Board
    kind: str
    machine: Machine
    run_limit_s: float = 3600.0

    def run(self, bundle: Path, inputs: Path, outputs: Path) -> None:
        """See `Target`."""
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
def open_board(text: str, kind: str, *, allow_insecure: bool = False) -> Iterator[DaskTarget]:
    """Open a board of a kind that a scheduler has, one that is free if there is one.

    Args:
        text: the scheduler, as in dask://scheduler:8786; a kind may follow, as in dask://scheduler:8786/lab-rpi5.
        kind: the kind of board, if the address names none.
        allow_insecure: take a scheduler that is neither encrypted nor on this machine.

    Raises:
        UsageError: the address is wrong, the scheduler is not secured, or no worker offers the kind.
        BackendError: no scheduler answers.
    """
    address = scheduler.parse(text)
    kind = address.kind or kind
    with scheduler.connect(address, allow_insecure=allow_insecure) as client:
        board = choose_board(client, kind)
        yield DaskTarget(board, kind, board.describe())
