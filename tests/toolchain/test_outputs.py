"""The output folder gets all of a build's results, or none of them."""

from __future__ import annotations

import errno

import pytest

from hwbench import field
from hwbench.field import Field
from runtimes.bundle import Bundle
from runtimes.errors import UsageError
from toolchain import outputs
from toolchain.outputs import write_results

EMPTY = Field("net", "device", (), ())
OTHER = Field("net", "elsewhere", (), ())


def test_writes_a_bundle_per_chosen_candidate_and_the_reports(contents, tmp_path):
    results = write_results([(EMPTY, contents), (OTHER, None)], tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net-device.edge", "report.html", "report.json"]
    assert [found.bundle for found in results.fields] == [tmp_path / "net-device.edge", None]
    with Bundle(tmp_path / "net-device.edge") as bundle:
        bundle.check()
    assert field.from_json((tmp_path / "report.json").read_text(), "report.json") == results
    assert "<html" in (tmp_path / "report.html").read_text()
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o644}


def test_a_failure_at_the_last_file_leaves_every_old_one(contents, tmp_path, monkeypatch):
    write_results([(EMPTY, contents)], tmp_path)
    (tmp_path / "mine.txt").write_text("a file of the user's")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(outputs.html, "render", full)
    with pytest.raises(OSError, match="No space left"):
        write_results([(OTHER, contents), (EMPTY, None)], tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_an_earlier_bundle_does_not_outlive_its_report(contents, tmp_path):
    write_results([(EMPTY, contents)], tmp_path)
    write_results([(EMPTY, None)], tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_a_folder_in_the_way_is_named_before_anything_is_moved(contents, tmp_path):
    (tmp_path / "report.json").mkdir()
    with pytest.raises(UsageError, match=r"report\.json' is a folder; remove it, or give another folder with --out"):
        write_results([(EMPTY, contents)], tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]
