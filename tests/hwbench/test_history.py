"""A model's course: what is recorded, read back, and called a change."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from PIL import Image

from hwbench import field, gate, history
from hwbench.budget import parse_all
from hwbench.field import Entry, Field
from hwbench.history import Point, change_points
from runtimes.errors import UsageError

BUDGETS = parse_all(["p90<=1s"])


@pytest.fixture
def results_of(make_report, make_latency):
    def make(median_ms=10.0, seed=0, budgets=BUDGETS):
        report = make_report(latency=make_latency(median_ms, seed=seed))
        entry = Entry("candidate", "int8", "onnxruntime", "measured", "", report, gate.judge(report, budgets))
        return field.of([Field("linear", "device", budgets, (entry,))])

    return make


def test_what_is_recorded_is_read_back_oldest_first(results_of, tmp_path):
    where = str(tmp_path / "runs.sqlite")
    newer, older = results_of(12.0, seed=1), results_of(10.0, budgets=())
    assert history.record(where, newer, datetime.datetime(2026, 2, 1)) == history.record(
        where, older, datetime.datetime(2026, 1, 1)
    )
    points = history.read(where, "p90")
    report = newer.fields[0].entries[0].report
    assert [point.at.month for point in points] == [1, 2]
    assert [point.outcome for point in points] == ["measured", "pass"]
    assert points[1].value == report.estimate("p90").value
    assert (points[1].model, points[1].profile, points[1].device) == ("linear", "device", "Some CPU, 4 cores")
    assert history.read(where, "p90", "another") == ()
    assert len(history.read(where, "accuracy_drop", "linear")) == 2


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


@pytest.mark.parametrize("step", [1.05, 0.8])
def test_a_step_larger_than_the_noise_is_a_change(step):
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.lognormal(0, 0.01, 20), step * rng.lognormal(0, 0.01, 20)])
    assert change_points(values.tolist()) == (20,)


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_change(seed):
    assert change_points(np.random.default_rng(seed).lognormal(0, 0.05, 60).tolist()) == ()


def test_too_few_or_senseless_values_have_no_changes():
    assert change_points([1.0] * 5) == ()
    assert change_points([1.0] * 40) == ()
    assert change_points([1.0, -1.0] * 20) == ()


def test_a_plot_shows_points_and_changes(tmp_path):
    start = datetime.datetime(2026, 1, 1)
    points = [
        Point(start + datetime.timedelta(days=n), "m", "d", "cpu", "00", "p90", v, 0.99 * v, 1.01 * v, "pass")
        for n, v in enumerate([1.0] * 10 + [2.0] * 10)
    ]
    history.plot(points, tmp_path / "course.png")
    with Image.open(tmp_path / "course.png") as image:
        colors = {color for _, color in image.convert("RGB").getcolors(1 << 20)}
    assert {(0x1B, 0x7F, 0x4B), (0xC0, 0x39, 0x2B)} <= colors  # a passed run, and the line of a change
    with pytest.raises(UsageError, match="cannot be drawn"):
        history.plot(points, tmp_path / "course.doc")
