"""A model's course: what is recorded, read back, and called a change."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import math
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from hwbench.budgets import verdicts
from hwbench.budgets.budget import parse_all
from hwbench.measurements.accuracy import Accuracy, joined
from hwbench.results import history, profile_results
from hwbench.results.current_commit import commit_range, current_commit
from hwbench.results.profile_results import CandidateResult, ProfileResult
from runtimes.errors import UsageError

BUDGETS = parse_all(["p90<=1s"])


@pytest.fixture
def results_of(make_report, make_latency):
    def make(median_ms=10.0, seed=0, budgets=BUDGETS):
        report = make_report(latency=make_latency(median_ms, seed=seed))
        entry = CandidateResult(
            "candidate", "int8", "onnxruntime", "measured", "", report, verdicts.judge(report, budgets)
        )
        return profile_results.of([ProfileResult("linear", "device", budgets, (entry,))])

    return make


def test_what_is_recorded_is_read_back_oldest_first(results_of, tmp_path):
    where = str(tmp_path / "runs.sqlite")
    newer, older = results_of(12.0, seed=1), results_of(10.0, budgets=())
    assert history.record(where, newer, datetime.datetime(2026, 2, 1)) == history.record(
        where, older, datetime.datetime(2026, 1, 1)
    )
    points = history.read(where, "p90")
    report = newer.profiles[0].candidates[0].report
    assert [point.at.month for point in points] == [1, 2]
    assert [point.outcome for point in points] == ["measured", "pass"]
    assert points[1].value == report.estimate("p90").value
    assert (points[1].model, points[1].profile, points[1].device) == ("linear", "device", "Some CPU, 4 cores")
    assert history.read(where, "p90", "another") == ()
    assert len(history.read(where, "accuracy_drop", "linear")) == 2


def test_a_database_that_was_made_for_nothing_goes_again_and_an_old_one_stays(results_of, tmp_path):
    where = tmp_path / "runs.sqlite"

    def fail():
        with history.ensure_database(str(where)):
            assert where.is_file()
            raise UsageError("refused")

    with pytest.raises(UsageError, match="refused"):
        fail()
    assert not where.exists()
    history.record(str(where), results_of())
    with pytest.raises(UsageError, match="refused"):
        fail()
    assert len(history.read(str(where), "p90")) == 1
    with pytest.raises(UsageError, match="cannot be used"), history.ensure_database(str(where / "inside")):
        pass
    missing = tmp_path / "no" / "runs.sqlite"
    with (
        pytest.raises(UsageError, match=r"There is no folder '.*no' for the history"),
        history.ensure_database(str(missing)),
    ):
        pass
    assert not missing.parent.exists()


def test_a_database_that_cannot_be_used_is_refused_without_its_password(results_of, tmp_path):
    (tmp_path / "text.sqlite").write_text("not a database, but long enough to be looked at\n" * 40)
    with pytest.raises(UsageError, match="not a database"):
        history.read(str(tmp_path / "text.sqlite"), "p90")
    with pytest.raises(UsageError, match="There is no history"):
        history.read(str(tmp_path / "none.sqlite"), "p90")
    with pytest.raises(UsageError, match="cannot be used") as caught:
        history.record("nodb://user:secret@host/runs", results_of())
    assert "secret" not in str(caught.value)
    with pytest.raises(UsageError, match="cannot be used"):
        history.record(str(tmp_path / "no" / "runs.sqlite"), results_of())


def test_each_metric_has_a_history(results_of, tmp_path):
    results = results_of()
    entry = results.profiles[0].candidates[0]
    errors = Accuracy("mae:age", False, 3, 2.0, scores=(1.9, 2.0, 2.1))
    accuracy = joined([entry.report.accuracy, errors])
    entry = dataclasses.replace(entry, report=dataclasses.replace(entry.report, accuracy=accuracy))
    where = str(tmp_path / "runs.sqlite")
    history.record(where, profile_results.of([dataclasses.replace(results.profiles[0], candidates=(entry,))]))
    (point,) = history.read(where, "accuracy[mae:age]")
    assert point.value == 2.0
    (first,) = history.read(where, "accuracy")
    assert first.value == entry.report.accuracy.value


COLUMNS = "id, at, model, profile, device, source_sha256, quantity, value, low, high, outcome"
GOOD = ("2026-01-01 00:00:00.000000", "m", "p", "d", "0" * 64, "p90", 0.1, 0.1, 0.2, "pass")


def crafted(path, *rows, table=f"CREATE TABLE figures ({COLUMNS})"):
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(table)
        for row in rows:
            connection.execute(f"INSERT INTO figures VALUES (NULL, {', '.join('?' * 10)})", row)
    return str(path)


def test_a_crafted_file_of_good_values_is_read(tmp_path):
    assert len(history.read(crafted(tmp_path / "h.sqlite", GOOD, GOOD), "p90")) == 2


odd = some.none() | some.text(max_size=3) | some.binary(max_size=3) | some.integers(-(2**63), 2**63 - 1) | some.floats()


@settings(max_examples=100, deadline=None)
@given(column=some.sampled_from([0, 1, 2, 3, 4, 6, 7, 8, 9]), value=odd)
def test_any_value_is_a_point_or_an_error_of_one_sentence(column, value):
    with tempfile.TemporaryDirectory() as folder:
        row = [*GOOD[:column], value, *GOOD[column + 1 :]]
        where = crafted(Path(folder, "h.sqlite"), row)
        try:
            (point,) = history.read(where, "p90") or (None,)
        except UsageError:
            return
        assert point is None or all(map(math.isfinite, (point.value, point.low, point.high)))


ENDLESS = "CREATE VIEW figures AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"
ROW = "i AS id, '2026-01-01 00:00:00' AS at, 'm' AS model, 'p' AS profile, 'd' AS device, 's' AS source_sha256, "
ROW += "{} AS quantity, 0.1 AS value, 0.1 AS low, 0.1 AS high, 'pass' AS outcome"


@pytest.mark.parametrize("quantity", ["'p90'", "'p9' || i"])
def test_an_endless_view_ends(tmp_path, quantity):
    where = crafted(tmp_path / "h.sqlite", table=ENDLESS.format(ROW.format(quantity)))
    with pytest.raises(UsageError, match="it takes too long to read, as an endless view does"):
        history.read(where, "p90")


def test_reading_writes_nothing(tmp_path):
    where = Path(crafted(tmp_path / "h.sqlite", GOOD))
    before = where.read_bytes()
    where.chmod(0o444)
    tmp_path.chmod(0o555)
    assert history.read(str(where), "p90")
    tmp_path.chmod(0o755)
    assert where.read_bytes() == before
    assert list(tmp_path.iterdir()) == [where]


def test_too_many_points_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "_MAX_POINTS", 3)
    assert len(history.read(crafted(tmp_path / "3.sqlite", *[GOOD] * 3), "p90")) == 3
    with pytest.raises(UsageError, match="more than 3 points of p90; choose one --model"):
        history.read(crafted(tmp_path / "4.sqlite", *[GOOD] * 4), "p90")


def test_a_history_is_made_where_a_link_leads_and_goes_again_with_a_failure(tmp_path):
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(file)
    with pytest.raises(KeyboardInterrupt), history.ensure_database(str(link)):
        raise KeyboardInterrupt
    assert link.is_symlink()
    assert not file.exists()
    with pytest.raises(UsageError, match="is no file"), history.ensure_database("/dev/null"):
        pass


def test_a_run_names_its_commit_and_a_history_from_before_has_none(results_of, tmp_path, monkeypatch):
    where = str(tmp_path / "runs.sqlite")
    history.record(where, results_of(10.0), datetime.datetime(2026, 1, 1), commit="1" * 40)
    history.record(where, results_of(11.0, seed=1), datetime.datetime(2026, 1, 2))
    assert [point.commit for point in history.read(where, "p90")] == ["1" * 40, ""]
    with contextlib.closing(sqlite3.connect(where)) as connection:
        connection.execute("DROP TABLE commits")
        connection.commit()
    assert [point.commit for point in history.read(where, "p90")] == ["", ""]
    history.record(where, results_of(12.0, seed=2), datetime.datetime(2026, 1, 3), commit="3" * 40)
    assert [point.commit for point in history.read(where, "p90")] == ["", "", "3" * 40]


def test_the_commit_is_the_jobs_or_the_folders(monkeypatch, tmp_path):
    monkeypatch.delenv("CI_COMMIT_SHA", raising=False)
    monkeypatch.setenv("GITHUB_SHA", "a" * 40)
    assert current_commit() == "a" * 40
    monkeypatch.setenv("GITHUB_SHA", "no commit; rm -rf")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    assert current_commit() == ""
    assert commit_range("a" * 40, "b" * 40) == "aaaaaaa..bbbbbbb"
    assert commit_range("", "b" * 40) == commit_range("b" * 40, "b" * 40) == ""
