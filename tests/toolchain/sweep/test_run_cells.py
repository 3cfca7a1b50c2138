"""The run of a sweep on places that the test plays: who takes what, losses, crashes, and Ctrl-C."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from hwbench.targets import CrashError
from runtimes.errors import BackendError
from toolchain.sweep.build_in_child import PlaceLostError
from toolchain.sweep.cells import list_cells
from toolchain.sweep.places import LocalCores
from toolchain.sweep.run_cells import MOST_LOSSES, run_cells


@dataclass(eq=False)
class Played:
    """A place whose builds the test plays."""

    name: str
    play: Callable[[str], None] = lambda cell: None
    kinds: tuple[str, ...] = ()
    lanes: int = 1
    built: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def takes(self, cell):
        return not self.kinds or cell.profile.name in self.kinds

    def build(self, cell, folder):
        self.play(cell.name)
        self.built.append(cell.name)
        (folder / "outcome.json").write_text('{"status": "built"}')
        (folder / "bundle").write_text(cell.name)

    def stop(self):
        self.stopped.set()


@pytest.fixture
def run(request_of, tmp_path):
    """Runs cells on places that join at the start or, if there is a list in a list, one look later."""

    def run(*rounds, names=("one", "two", "three"), **fields):
        cells = list_cells(request_of(name=name, precisions=(), **fields) for name in names)
        later, records, files = list(rounds), {}, {}

        def finish(cell, record, made):
            records[cell.model] = record
            if made is not None:
                files[cell.model] = (made / "bundle").read_text()

        (tmp_path / "work").mkdir()
        run_cells(
            [(cell, "key") for cell in cells],
            lambda: later.pop(0) if later else [],
            tmp_path / "work",
            finish,
            return_s=1.0,
        )
        assert files.keys() == {name for name, record in records.items() if record.status == "built"}
        assert not list((tmp_path / "work").iterdir())
        return records

    return run


def lose(cell):
    raise PlaceLostError("The board was lost: its power")


def test_each_cell_is_built_once_and_by_a_place_that_takes_it(run, here):
    first, second = Played("first"), Played("second", kinds=("another device",))
    records = run([first, second])
    assert [record.status for record in records.values()] == ["built"] * 3
    assert len(first.built) == 3 and not second.built
    assert {record.place for record in records.values()} == {"first"}


def test_a_cell_whose_place_is_lost_is_built_elsewhere(run):
    lost, other = Played("lost", lose), Played("other")
    records = run([lost], [other])
    assert {record.status for record in records.values()} == {"built"}
    assert [record.losses for record in records.values() if record.losses] == [("The board was lost: its power",)]
    assert len(other.built) == 3


def test_a_cell_without_a_place_fails_after_a_while_and_the_others_are_built(run):
    lost, later = Played("lost", lose), Played("later", kinds=("another device",))
    records = run([lost, later])
    assert {record.status for record in records.values()} == {"failed"}
    reasons = {record.reason for record in records.values()}
    assert reasons == {"The board was lost: its power", "No place is left that builds it."}


def test_a_build_that_dies_is_tried_again_and_ends_no_place(run):
    def crash(cell):
        if cell.startswith("two"):
            raise CrashError("The process died of signal 9.")

    place = Played("place", crash)
    records = run([place])
    assert records["two"].status == "failed"
    assert records["two"].reason == "The process died of signal 9."
    assert len(records["two"].losses) == MOST_LOSSES
    assert [records[name].status for name in ("one", "three")] == ["built"] * 2


def test_a_build_that_fails_is_not_tried_again(run):
    def fail(cell):
        raise BackendError("There is too little memory.")

    records = run([Played("place", fail)])
    assert {(record.status, record.reason, record.losses) for record in records.values()} == {
        ("failed", "There is too little memory.", ())
    }


def test_an_interrupt_stops_the_places_and_keeps_what_is_stored(request_of, tmp_path):
    waiting = Played("waiting")
    waiting.play = lambda cell: lose(cell) if not cell.startswith("one") and waiting.stopped.wait(60) else None
    stored = []

    def finish(cell, record, made):
        stored.append(cell.model)
        raise KeyboardInterrupt

    cells = list_cells(request_of(name=name, precisions=()) for name in ("one", "two"))
    with pytest.raises(KeyboardInterrupt):
        run_cells([(cell, "") for cell in cells], lambda: [] if stored else [waiting], tmp_path, finish)
    assert stored == ["one"]
    assert waiting.stopped.is_set()


def test_a_cell_that_is_timed_here_is_alone(request_of, here, tmp_path, monkeypatch):
    running, most = [], {}
    entered = threading.Barrier(2, timeout=60)

    def build(request, folder):
        running.append(request.name)
        most[request.name] = max(most.get(request.name, 0), len(running))
        if request.profiles[0].name == "other":
            entered.wait()  # two at a time, or this breaks
        running.remove(request.name)
        (folder / "outcome.json").write_text('{"status": "built"}')

    monkeypatch.setattr("toolchain.sweep.places.build_here", build)
    other = dataclasses.replace(here, name="other")
    requests = [request_of(name=name, precisions=()) for name in ("timed", "timed too")]
    requests += [request_of(name=name, precisions=(), profiles=(other,)) for name in ("free", "free too")]
    places = [[LocalCores(2, frozenset(), frozenset({here.name}))]]
    records = []
    run_cells(
        [(cell, "") for cell in list_cells(requests)],
        lambda: places.pop() if places else [],
        tmp_path,
        lambda cell, record, made: records.append(record),
    )
    assert [record.status for record in records] == ["built"] * 4
    assert most["timed"] == most["timed too"] == 1


def test_what_no_cell_is_to_blame_for_ends_the_sweep(run):
    """A lane that ended without a word would leave its cell open, and the sweep waiting for ever."""

    def broken(cell):
        raise RuntimeError("nobody thought of this")

    with pytest.raises(RuntimeError, match="nobody thought of this"):
        run([Played("one", broken)])


def test_an_outcome_that_cannot_be_read_fails_its_cell_alone(run):
    class Garbled(Played):
        def build(self, cell, folder):
            super().build(cell, folder)
            if cell.model == "one":
                (folder / "outcome.json").write_text("{")

    records = run([Garbled("place")])
    assert {name: record.status for name, record in records.items()} == {
        "one": "failed",
        "two": "built",
        "three": "built",
    }
    assert "cannot be read" in records["one"].reason
