"""Where a course changes its level, and its picture."""

from __future__ import annotations

import datetime
import errno

import numpy as np
import pytest
from PIL import Image

from hwbench.results.history import Point
from hwbench.stats import change_points
from hwbench.stats.change_points import Level, change, levels, why_untold
from runtimes.errors import UsageError


def starts(values):
    return [level.start for level in levels(values)]


def test_levels_are_medians_of_their_runs():
    assert levels([1.0, 1.001, 0.999, 1.0, 2.0, 2.001, 2.0, 1.999]) == (Level(0, 4, 1.0), Level(4, 8, 2.0))


@pytest.mark.parametrize(("after", "told"), [(1.05, "+5.0%"), (0.8, "-20.0%"), (2.5, "2.5x"), (21.66, "21.7x")])
def test_a_change_in_words(after, told):
    assert change(Level(0, 3, 1.0), Level(3, 6, after)) == told


@pytest.mark.parametrize("step", [1.05, 0.8])
def test_a_step_larger_than_the_noise_is_a_change(step):
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.lognormal(0, 0.01, 20), step * rng.lognormal(0, 0.01, 20)])
    assert starts(values.tolist()) == [0, 20]


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_change(seed):
    assert starts(np.random.default_rng(seed).lognormal(0, 0.05, 60).tolist()) == [0]


def test_too_few_or_senseless_values_have_no_changes():
    assert starts([1.0] * 5) == [0]
    assert starts([1.0] * 40) == [0]
    assert starts([1.0, -1.0] * 20) == [0]


def test_a_plot_shows_points_and_changes(tmp_path):
    start = datetime.datetime(2026, 1, 1)
    points = [
        Point(start + datetime.timedelta(days=n), "m", "d", "cpu", "00", "p90", v, 0.99 * v, 1.01 * v, "pass")
        for n, v in enumerate([1.0] * 10 + [2.0] * 10)
    ]
    change_points.plot(points, tmp_path / "course.png")
    with Image.open(tmp_path / "course.png") as image:
        colors = {color for _, color in image.convert("RGB").getcolors(1 << 20)}
    assert {(0x1B, 0x7F, 0x4B), (0x7A, 0x3B, 0x86)} <= colors  # a passed run, and the line of a change
    with pytest.raises(UsageError, match="cannot be drawn"):
        change_points.plot(points, tmp_path / "course.doc")


def test_of_values_at_zero_or_below_it_is_said_that_no_change_can_be_told():
    assert why_untold([0.01, 0.02]) is None
    for values in ([0.0, 0.02], [-0.01, 0.02]):
        assert "values of zero or below" in why_untold(values)


def test_a_full_disk_leaves_the_last_picture(tmp_path, monkeypatch):
    def fail(self, path, **options):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    point = Point(datetime.datetime(2026, 1, 1), "m", "d", "cpu", "00", "p90", 1.0, 0.9, 1.1, "pass")
    (tmp_path / "course.png").write_text("the last one")
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(OSError, match="No space left"):
        change_points.plot([point], tmp_path / "course.png")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("course.png", "the last one")]


def test_a_plot_of_ten_times_the_smallest_is_logarithmic_and_of_one_run_is_a_point(tmp_path):
    start = datetime.datetime(2026, 1, 1)
    points = [
        Point(start + datetime.timedelta(days=n), "m", "d", "cpu", "00", "p90", v, 0.9 * v, 1.1 * v, "measured")
        for n, v in enumerate([1.0] * 4 + [30.0] * 4)
    ]
    change_points.plot(points, tmp_path / "course.svg")
    text = (tmp_path / "course.svg").read_text()
    assert all(
        f"<!-- {word} -->" in text for word in ("1", "2", "5", "10", "20", "30x", "measured", "interval", "level")
    )
    change_points.plot(points[:1], tmp_path / "one.svg")
    assert (
        "<!-- 2026-01-01 -->" in (tmp_path / "one.svg").read_text()
        or "2026-01-01" in (tmp_path / "one.svg").read_text()
    )
