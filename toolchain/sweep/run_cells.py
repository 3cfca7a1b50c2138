"""The run of a sweep: each place takes the next cell that is for it, and a cell whose place is lost goes to another."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hwbench.targets import CrashError
from runtimes.codec import decode
from runtimes.errors import BackendError, EdgewrightError
from runtimes.processes.owned_folder import owned_folder
from toolchain.sweep.build_in_child import OUTCOME, Outcome, PlaceLostError
from toolchain.sweep.cells import Cell, CellRecord
from toolchain.sweep.places import Place

MOST_LOSSES = 3
"""The places that a cell may lose; it may be what ends them, for want of memory."""

RETURN_S = 60.0
"""The time in seconds that a lost board has to come back, where no other board of its kind is left."""

_POLL_S = 0.5

Finish = Callable[[Cell, CellRecord, Path | None], None]
"""A function that stores the outcome of a cell, and its files if it was built."""


@dataclass
class _Task:
    cell: Cell
    key: str
    losses: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Done:
    task: _Task
    record: CellRecord
    folder: Path
    stored: threading.Event


class _Schedule:
    """Cells that wait, and the places that are there; all methods may be called from any thread."""

    def __init__(self, tasks: Sequence[_Task]) -> None:
        self._waiting, self._open = list(tasks), len(tasks)
        self._changed = threading.Condition()
        self._places: list[Place] = []
        self._orphaned_s: dict[str, float] = {}
        self.is_stopped = False

    def add_place(self, place: Place) -> None:
        with self._changed:
            self._places.append(place)

    def lose_place(self, place: Place) -> None:
        with self._changed:
            if place in self._places:
                self._places.remove(place)

    def take(self, place: Place) -> _Task | None:
        """Wait for a cell that is for the place; None if there will be none, or the place was lost by another lane."""
        with self._changed:
            while self._open and not self.is_stopped and place in self._places:
                for task in self._waiting:
                    if place.takes(task.cell):
                        self._waiting.remove(task)
                        return task
                self._changed.wait(_POLL_S)  # a cell that another place loses may come back
            return None

    def put_back(self, task: _Task) -> None:
        with self._changed:
            self._waiting.insert(0, task)
            self._changed.notify_all()

    def finish(self) -> None:
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def is_open(self) -> bool:
        with self._changed:
            return self._open > 0

    def orphans(self, wait_s: float) -> list[_Task]:
        """Take the waiting cells that have had no place for a time."""
        with self._changed:
            now_s, found = time.monotonic(), []
            for task in list(self._waiting):
                if any(place.takes(task.cell) for place in self._places):
                    self._orphaned_s.pop(task.cell.name, None)
                elif now_s - self._orphaned_s.setdefault(task.cell.name, now_s) >= wait_s:
                    self._waiting.remove(task)
                    found.append(task)
            return found

    def stop(self) -> None:
        with self._changed:
            self.is_stopped = True
            self._changed.notify_all()
            places = list(self._places)
        for place in places:
            place.stop()


def run_cells(
    cells: Sequence[tuple[Cell, str]],
    places: Callable[[], Sequence[Place]],
    work: Path,
    finish: Finish,
    return_s: float = RETURN_S,
) -> None:
    """Build cells until each has an outcome.

    At Ctrl-C the places are stopped; the outcomes that were stored by then stay.

    Args:
        cells: the cells, with their keys.
        places: lists the places that were not there at the call before; called every few seconds.
        work: a folder on the disk of the results, for cells that are being built.
        finish: called in this thread with each outcome.
        return_s: the time that a lost board has to come back.
    """
    schedule = _Schedule([_Task(cell, key) for cell, key in cells])
    done: queue.Queue[_Done] = queue.Queue()
    broken: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
    lanes: list[threading.Thread] = []
    try:
        while schedule.is_open():
            with contextlib.suppress(queue.Empty):
                raise broken.get_nowait()
            for place in places():
                schedule.add_place(place)
                for _ in range(place.lanes):
                    lanes.append(
                        threading.Thread(target=_serve, args=(place, schedule, work, done, broken), daemon=True)
                    )
                    lanes[-1].start()
            for task in schedule.orphans(return_s):
                reason = " ".join(task.losses) or "No place is left that builds it."
                finish(task.cell, CellRecord(task.key, "failed", reason, losses=tuple(task.losses)), None)
                schedule.finish()
            with contextlib.suppress(queue.Empty):
                ended = done.get(timeout=_POLL_S)
                try:
                    built = ended.record.status == "built"
                    finish(ended.task.cell, ended.record, ended.folder if built else None)
                finally:
                    ended.stored.set()
                schedule.finish()
    finally:
        schedule.stop()
        for lane in lanes:
            while lane.is_alive():
                schedule.stop()  # a process may have begun after the first kill
                with contextlib.suppress(queue.Empty):
                    done.get_nowait().stored.set()
                lane.join(_POLL_S / 5)


def _serve(
    place: Place,
    schedule: _Schedule,
    work: Path,
    done: queue.Queue[_Done],
    broken: queue.SimpleQueue[BaseException],
) -> None:
    """Build cells at a place; what no cell is to blame for is put into `broken`, and ends the sweep."""
    try:
        _build_cells(place, schedule, work, done)
    except BaseException as error:  # a lane that ended silently would leave its cell open for ever
        broken.put(error)


def _build_cells(place: Place, schedule: _Schedule, work: Path, done: queue.Queue[_Done]) -> None:
    """Build cells at a place until there are none, or the place is lost."""
    while (task := schedule.take(place)) is not None:
        start_s = time.monotonic()
        with owned_folder(work) as folder:
            try:
                place.build(task.cell, folder)
                record = _read(task, folder)
            except (PlaceLostError, CrashError) as lost:
                if schedule.is_stopped:
                    return
                task.losses.append(str(lost))
                is_lost = isinstance(lost, PlaceLostError)
                if is_lost:
                    schedule.lose_place(place)
                if len(task.losses) < MOST_LOSSES:
                    schedule.put_back(task)
                    if is_lost:
                        return
                    continue
                record = CellRecord(task.key, "failed", str(lost))
            except (EdgewrightError, OSError) as error:
                record = CellRecord(task.key, "failed", str(error))
            record = dataclasses.replace(
                record, place=place.name, seconds=time.monotonic() - start_s, losses=tuple(task.losses)
            )
            stored = threading.Event()
            done.put(_Done(task, record, folder, stored))
            stored.wait()


def _read(task: _Task, folder: Path) -> CellRecord:
    """Read the outcome that a cell's process left."""
    file = folder / OUTCOME
    try:
        outcome = decode(Outcome, json.loads(file.read_text("utf-8")), OUTCOME)
    except (ValueError, RecursionError):
        raise BackendError("The cell's outcome cannot be read.") from None
    file.unlink()
    if outcome.status == "lost":
        raise PlaceLostError(outcome.reason)
    return CellRecord(task.key, outcome.status, outcome.reason)
