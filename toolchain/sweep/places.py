"""Places that build cells: this machine's cores, and the boards of a rack."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from hwbench import child_process
from runtimes.codec import encode
from runtimes.errors import one_line
from toolchain.candidates.candidate import list_candidates
from toolchain.pipeline import preflight
from toolchain.pipeline.request import BuildRequest
from toolchain.sweep.build_in_child import OUTCOME, MeasuredOn, Outcome, build_in_child
from toolchain.sweep.cells import Cell


class Place(Protocol):
    """A machine that builds cells."""

    @property
    def name(self) -> str:
        """The machine in words."""

    @property
    def lanes(self) -> int:
        """The number of cells that it may work on at a time."""

    def takes(self, cell: Cell) -> bool:
        """Tell whether a cell is for this place."""

    def build(self, cell: Cell, folder: Path) -> None:
        """Build a cell in an empty folder, which then holds outcome.json and the build's files.

        Raises:
            PlaceLostError: the place is gone.
            CrashError: the build's process died or hung.
            EdgewrightError: it failed.
        """

    def stop(self) -> None:
        """End what it runs, from another thread; `build` raises then."""


class LocalCores:
    """This machine's cores: several cells at a time, but one alone where latency is measured."""

    name = "this machine"

    def __init__(self, lanes: int, boards: frozenset[str], timed: frozenset[str]) -> None:
        """Take cells that are for none of `boards`; those whose profile is in `timed` have the machine to themselves.

        Args:
            lanes: the number of cells at a time that are not timed.
            boards: names of the profiles that a rack has boards of.
            timed: names of the profiles that this machine fits.
        """
        self.lanes = lanes
        self._boards, self._timed = boards, timed
        self._processes: set[child_process.Process] = set()
        self._entry, self._free = threading.Lock(), threading.Semaphore(lanes)

    def takes(self, cell: Cell) -> bool:
        """See `Place`."""
        return cell.profile.name not in self._boards

    def build(self, cell: Cell, folder: Path) -> None:
        """See `Place`."""
        with self._room(self.lanes if cell.profile.name in self._timed else 1):
            child_process.track_in(self._processes)
            build_here(cell.request, folder)

    def stop(self) -> None:
        """See `Place`."""
        for process in list(self._processes):
            process.kill()

    @contextmanager
    def _room(self, lanes: int) -> Iterator[None]:
        with self._entry:  # one at a time waits for several, or two could wait for each other
            for _ in range(lanes):
                self._free.acquire()
        try:
            yield
        finally:
            self._free.release(lanes)


def build_here(request: BuildRequest, folder: Path, on: MeasuredOn | None = None) -> None:
    """Build a request in a process of this machine, unless there is nothing to try, which needs no process.

    Raises:
        As in `build_in_child`.
    """
    asked = (request.precisions, request.runtimes, request.threads, request.corrections)
    try:
        preflight.check_candidates([(profile, list_candidates(profile, *asked)) for profile in request.profiles])
    except preflight.NothingToTryError as error:
        outcome = Outcome("not built", one_line(str(error)))
        (folder / OUTCOME).write_text(json.dumps(encode(outcome)), encoding="utf-8")
        return
    build_in_child(request, folder, on=on)
