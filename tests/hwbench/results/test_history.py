"""A model's course: what is recorded, read back, and called a change."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from hwbench.budgets import verdicts
from hwbench.budgets.budget import parse_all
from hwbench.measurements.accuracy import Accuracy, joined
from hwbench.results import history, profile_results
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
