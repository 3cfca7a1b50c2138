"""The folder of a sweep: whole cells, or none, and damaged ones are built again."""

from __future__ import annotations

import pytest

from toolchain.sweep.cells import CellRecord, list_cells
from toolchain.sweep.results_folder import ResultsFolder

RECORD = CellRecord("key", "built", place="this machine", seconds=1.5)


@pytest.fixture
def cell(request_of):
    return list_cells([request_of()])[0]


@pytest.fixture
def folder(tmp_path):
    return ResultsFolder(tmp_path / "sweep")


def made(tmp_path, empty_report, name):
    place = tmp_path / name
    place.mkdir()
    empty_report(place / "report.json")
    (place / f"{name}.edge").write_text(name)
    return place


def test_a_cell_takes_the_place_of_an_earlier_one_as_a_whole(folder, cell, tmp_path, empty_report):
    assert folder.record(cell) is None
    assert folder.result(cell) is None
    folder.store(cell, RECORD, made(tmp_path, empty_report, "first"))
    folder.store(cell, RECORD, made(tmp_path, empty_report, "second"))
    assert {file.name for file in folder.of(cell).iterdir()} == {"second.edge", "report.json", "cell.json"}
    assert folder.record(cell) == RECORD
    assert folder.result(cell).model == "tiny"
    assert [each.name for each in folder.cells.iterdir()] == [cell.name]


def test_a_cell_that_failed_leaves_nothing_of_an_earlier_build(folder, cell, tmp_path, empty_report):
    folder.store(cell, RECORD, made(tmp_path, empty_report, "first"))
    folder.store(cell, CellRecord("key", "failed", "no memory"), None)
    assert folder.record(cell) is None
    assert not folder.of(cell).exists()


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"key": 1}', b"\xff", b"[" * 100_000])
def test_a_damaged_cell_counts_as_not_built(folder, cell, tmp_path, empty_report, damage):
    folder.store(cell, RECORD, made(tmp_path, empty_report, "first"))
    for name in ("cell.json", "report.json"):
        (folder.of(cell) / name).write_bytes(damage)
    assert folder.record(cell) is None
    assert folder.result(cell) is None
