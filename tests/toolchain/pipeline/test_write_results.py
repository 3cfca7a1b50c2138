"""The output folder gets all of a build's results, or none of them."""

from __future__ import annotations

import dataclasses
import errno
import json

import pytest

from hwbench.results import profile_results
from hwbench.results.profile_results import CandidateResult, ProfileResult, Search
from runtimes.bundles.bundle import Bundle
from runtimes.errors import UsageError
from toolchain.pipeline import write_results as outputs
from toolchain.pipeline.write_results import write_results

EMPTY = ProfileResult("net", "device", (), ())
OTHER = ProfileResult("net", "elsewhere", (), ())
SOURCE = "1" * 64


def test_writes_a_bundle_per_chosen_candidate_and_the_reports(contents, tmp_path):
    results = write_results([(EMPTY, contents), (OTHER, None)], tmp_path, SOURCE)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net-device.edge", "report.html", "report.json"]
    assert [found.bundle for found in results.profiles] == [tmp_path / "net-device.edge", None]
    with Bundle(tmp_path / "net-device.edge") as bundle:
        bundle.check()
    assert profile_results.from_json((tmp_path / "report.json").read_text(), "report.json") == results
    assert "<html" in (tmp_path / "report.html").read_text()
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o644}


def test_a_failure_at_the_last_file_leaves_every_old_one(contents, tmp_path, monkeypatch):
    write_results([(EMPTY, contents)], tmp_path, SOURCE)
    (tmp_path / "mine.txt").write_text("a file of the user's")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(outputs.html, "render", full)
    with pytest.raises(OSError, match="No space left"):
        write_results([(OTHER, contents), (EMPTY, None)], tmp_path, SOURCE)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("made", "source", "kept"),
    [
        pytest.param(1, "same", False, id="what was made crashes, or breaks a budget"),
        pytest.param(0, "other", False, id="of another model nothing can be made"),
        pytest.param(0, "same", True, id="nothing can be made"),
    ],
)
def test_an_earlier_bundle_does_not_outlive_a_report_that_says_something_of_it(
    contents, tmp_path, capfd, made, source, kept
):
    write_results([(EMPTY, contents)], tmp_path, SOURCE)
    entry = CandidateResult("int8 (null)", "int8", "null", "not built", "as it is")
    now = dataclasses.replace(EMPTY, candidates=(entry,), search=Search(looks=0, tried=0, made=made))
    write_results([(now, None)], tmp_path, contents.artifact.source_sha256 if source == "same" else "0" * 64)
    assert (tmp_path / "net-device.edge").exists() == kept
    assert (
        f"{'Kept' if kept else 'Removed'} '{tmp_path / 'net-device.edge'}' of an earlier build"
        in capfd.readouterr().err
    )
    assert {"report.html", "report.json"} <= {file.name for file in tmp_path.iterdir()}


def test_what_is_no_bundle_is_no_reason_to_keep_it(tmp_path):
    (tmp_path / "net-device.edge").write_text("no bundle")
    write_results([(EMPTY, None)], tmp_path, SOURCE)
    assert not (tmp_path / "net-device.edge").exists()


def test_a_report_of_another_model_is_not_replaced_in_silence(contents, tmp_path, capfd):
    for model in ("cat", "cat", "dog"):
        capfd.readouterr()
        write_results([(ProfileResult(model, "device", (), ()), contents)], tmp_path, SOURCE)
        said = capfd.readouterr().err
        assert (f"Replaced the report of cat in '{tmp_path}'; give each model its own --out." in said) == (
            model == "dog"
        )
    (tmp_path / "report.json").write_text('{"profiles": 3}')  # some other program's
    write_results([(EMPTY, contents)], tmp_path, SOURCE)
    assert "Replaced" not in capfd.readouterr().err


def test_a_folder_in_the_way_is_named_before_anything_is_moved(contents, tmp_path):
    (tmp_path / "report.json").mkdir()
    with pytest.raises(
        UsageError,
        match=r"report\.json' cannot be written: Is a directory; remove it, or give another folder with --out",
    ):
        write_results([(EMPTY, contents)], tmp_path, SOURCE)
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_earlier_results_keep_their_mode_and_their_links(contents, tmp_path):
    out, shared = tmp_path / "out", tmp_path / "shared.json"
    out.mkdir()
    shared.write_text("{}")
    (out / "report.json").symlink_to(shared)
    (out / "model-device.edge").touch(0o600)
    write_results([(ProfileResult("model", "device", (), ()), contents)], out, SOURCE)
    assert (out / "report.json").is_symlink()
    assert json.loads(shared.read_text())["profiles"]
    assert (out / "model-device.edge").stat().st_mode & 0o777 == 0o600
