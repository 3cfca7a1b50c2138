"""Boards of a rack as places: a worker that offers a device's name builds and measures the cells for that device."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from distributed import Client

from hwbench import child_process
from hwbench.boards.faults import BoardLostError
from hwbench.progress import say
from hwbench.rack.boards import Board, StoppedError, find_boards, stoppable
from hwbench.targets.dask import DaskTarget
from runtimes.codec import encode
from runtimes.errors import EdgewrightError, UsageError
from runtimes.profile import HardwareProfile
from toolchain.pipeline.request import BuildRequest
from toolchain.sweep.build_in_child import MeasuredOn, PlaceLostError
from toolchain.sweep.cells import Cell, files_read
from toolchain.sweep.on_worker import build_cell
from toolchain.sweep.places import build_here

HOST = "host"
"""The resource of workers that build for devices that are not in the rack, as this machine's cores do."""


@dataclasses.dataclass(frozen=True)
class BoardPlace:
    """A board that builds one cell at a time.

    Attributes:
        scheduler: the scheduler's address, as the user gave it.
        boards: names of the profiles that the rack has boards of.
        can_build: the toolchain is installed on it; otherwise cells are built here, and measured there.
        work: builds a cell there, as `build_cell` does.
    """

    board: Board
    scheduler: str
    boards: frozenset[str]
    can_build: bool
    work: Callable[..., dict[str, bytes]]
    lanes: int = 1
    _processes: set[child_process.Process] = dataclasses.field(default_factory=set, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The worker's name."""
        return self.board.name

    def takes(self, cell: Cell) -> bool:
        """See `Place`."""
        if cell.profile.name in self.boards:
            return cell.profile.name in self.board.kinds
        own_metric = any(".py:" in metric for metric in cell.request.metrics)  # code that is sent to nobody
        return self.can_build and HOST in self.board.kinds and not own_metric

    def build(self, cell: Cell, folder: Path) -> None:
        """See `Place`."""
        kind = cell.profile.name if cell.profile.name in self.board.kinds else HOST
        if not self.can_build:
            child_process.track_in(self._processes)
            build_here(cell.request, folder, on=MeasuredOn(self.scheduler, kind, self.board.address))
            return
        request, files = _packed(cell.request)
        try:
            made = self.board.call_with(self.work, files, encode(request), kind=kind)
        except (BoardLostError, StoppedError) as lost:
            raise PlaceLostError(str(lost)) from None
        for name, data in made.items():
            (folder / Path(name).name).write_bytes(data)

    def stop(self) -> None:
        """See `Place`."""
        self.board.stopping.set()
        for process in list(self._processes):
            process.kill()


class Rack:
    """The boards of a scheduler, and those that join it later."""

    def __init__(
        self,
        client: Client,
        scheduler: str,
        wanted: Mapping[str, HardwareProfile],
        work: Callable[..., dict[str, bytes]] | None = None,
    ) -> None:
        """Look at the workers that are there.

        Args:
            client: the scheduler.
            scheduler: its address, as the user gave it.
            wanted: the profiles of the sweep, by name.
            work: builds a cell on a worker; `build_cell`, if None.

        Raises:
            UsageError: no worker offers one of the profiles, or `HOST`.
            BoardLostError: the scheduler is gone.
        """
        self._client, self._scheduler, self._wanted = client, scheduler, wanted
        self._known, self._stopping = set[str](), threading.Event()
        self._work = work or build_cell
        offered = frozenset(kind for board in find_boards(client) for kind in board.kinds)
        self.profiles = offered & wanted.keys()
        if not self.profiles and HOST not in offered:
            raise UsageError(
                f"No worker of the scheduler offers {' or '.join(sorted(wanted))}; start one on each board with: "
                f"dask worker SCHEDULER --nthreads 1 --resources {min(wanted)}=1"
            )

    def join(self) -> list[BoardPlace]:
        """List the boards that joined since the last call; none if the scheduler is gone.

        Raises:
            UsageError: at the first call, one is no such device, or has another release of edgewright; later ones are
                left out, with a line on stderr.
            UnsupportedError: at the first call, likewise.
        """
        is_first, joined = not self._known, []
        try:
            found = [board for board in find_boards(self._client) if board.kinds & (self.profiles | {HOST})]
            new = [board for board in found if board.address not in self._known]
            self._known.update(board.address for board in new)
            if new:
                with ThreadPoolExecutor(len(new)) as pool:  # each imports our code first
                    joined = [
                        place for each in pool.map(lambda board: self._checked(board, is_first), new) for place in each
                    ]
        except BoardLostError as lost:
            if is_first:
                raise
            say(str(lost))
        return joined

    def _checked(self, board: Board, is_first: bool) -> list[BoardPlace]:
        try:
            there = board.describe()
            for kind in board.kinds & self.profiles:
                DaskTarget(board, kind, there.machine).check_is(self._wanted[kind])
        except (EdgewrightError, BoardLostError) as wrong:
            if is_first and not isinstance(wrong, BoardLostError):
                raise
            say(str(wrong))
            return []
        stops = stoppable(board, self._stopping)
        return [BoardPlace(stops, self._scheduler, self.profiles, there.can_build, self._work)]


def check_sendable(cells: Sequence[Cell], boards: frozenset[str]) -> None:
    """Refuse metrics that are functions of the user's own for boards, to which no code is sent.

    Raises:
        UsageError: there is one.
    """
    for cell in cells:
        own = next((metric for metric in cell.request.metrics if ".py:" in metric), None)
        if own is not None and cell.profile.name in boards:
            raise UsageError(
                f"The metric {own} is code of your own, which no board of the rack is sent; sweep {cell.model} with a "
                "metric of edgewright's, or without the rack."
            )


def _packed(request: BuildRequest) -> tuple[BuildRequest, dict[str, Path]]:
    """Return a request whose paths begin with in/, and its files by their names there."""
    files: dict[str, Path] = {}
    fields: dict[str, Any] = {}
    for name, (first, *others) in files_read(request).items():
        inside = f"{name}/{first.name}"
        files[inside] = first
        files |= {f"{name}/{other.relative_to(first.parent)}": other for other in others}
        fields[name] = f"in/{inside}" if name == "source" else Path("in", inside)
    return dataclasses.replace(request, **fields), files
