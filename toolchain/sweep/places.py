"""Places that build cells: this machine's cores, and the boards of a rack."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from hwbench import child_process
from runtimes.codec import decode, encode
from runtimes.errors import EdgewrightError, one_line
from toolchain.candidates.candidate import list_candidates
from toolchain.pipeline import preflight
from toolchain.pipeline.request import BuildRequest
from toolchain.sweep.cell_process import OUT, OUTCOME, REQUEST, TARGET, MeasuredOn, Outcome
from toolchain.sweep.cells import Cell

_LIMIT_S = 86_400.0  # a build that takes a day has hung


class PlaceLostError(EdgewrightError):
    """A place is gone, and its cell has to be built elsewhere."""


class Place(Protocol):
    """A machine that builds cells.

    Attributes:
        name: the machine in words.
        lanes: the number of cells that it may work on at a time.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def lanes(self) -> int: ...  # noqa: D102

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
            build_in_child(cell.request, folder)

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


def build_in_child(
    request: BuildRequest, folder: Path, files: Mapping[str, Path] | None = None, on: MeasuredOn | None = None
) -> None:
    """Build a request in a process of its own, and move its files into an empty folder.

    Args:
        request: the build, with absolute paths; or paths that begin with in/, for `files`.
        folder: the folder for the results.
        files: files to find below in/, by their names there.
        on: the board that measures; this machine, if None.

    Raises:
        PlaceLostError: the board is gone.
        CrashError: the process died or hung.
        BackendError: it failed in a way that is an error of ours.
    """
    nothing = _nothing_to_try(request)
    if nothing:
        (folder / OUTCOME).write_text(json.dumps(encode(Outcome("not built", nothing))), encoding="utf-8")
        return
    with tempfile.TemporaryDirectory(prefix="edgewright-") as name:
        work = Path(name)
        (work / REQUEST).write_text(json.dumps(encode(dataclasses.replace(request, out=Path(OUT)))), encoding="utf-8")
        for inside, file in (files or {}).items():
            (work / "in" / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, work / "in" / inside)  # a model's weights are not read through links
        if on is not None:
            (work / TARGET).write_text(json.dumps(encode(on)), encoding="utf-8")
        child_process.run_module("toolchain.sweep.cell_process", [], work, _LIMIT_S)
        outcome = decode(Outcome, json.loads((work / OUTCOME).read_text("utf-8")), OUTCOME)
        if outcome.status == "lost":
            raise PlaceLostError(outcome.reason)
        for made in ((work / OUTCOME), *(work / OUT).iterdir()):
            shutil.move(made, folder / made.name)


def _nothing_to_try(request: BuildRequest) -> str:
    """Write the reason why a request has no candidate to try, such as a device without the arithmetic; or nothing."""
    asked = (request.precisions, request.runtimes, request.threads, request.corrections)
    try:
        preflight.check_candidates([(profile, list_candidates(profile, *asked)) for profile in request.profiles])
    except preflight.NothingToTryError as error:
        return one_line(str(error))
    return ""
