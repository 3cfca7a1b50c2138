"""The picture of a history: its points, levels and changes."""

from __future__ import annotations

import datetime
import errno

import pytest
from PIL import Image

from hwbench.formats.charts import history_chart
from hwbench.results.history import Point
from runtimes.errors import UsageError


def test_a_plot_shows_points_and_changes(tmp_path):
    start = datetime.datetime(2026, 1, 1)
    points = [
        Point(start + datetime.timedelta(days=n), "m", "d", "cpu", "00", "p90", v, 0.99 * v, 1.01 * v, "pass")
        for n, v in enumerate([1.0] * 10 + [2.0] * 10)
    ]
    history_chart.plot(points, tmp_path / "history.png")
    with Image.open(tmp_path / "history.png") as image:
        colors = {color for _, color in image.convert("RGB").getcolors(1 << 20)}
    assert {(0x1B, 0x7F, 0x4B), (0x7A, 0x3B, 0x86)} <= colors  # a passed run, and the line of a change
    with pytest.raises(UsageError, match="cannot be drawn"):
        history_chart.plot(points, tmp_path / "history.doc")


def test_a_full_disk_leaves_the_last_picture(tmp_path, monkeypatch):
    def fail(self, path, **options):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    point = Point(datetime.datetime(2026, 1, 1), "m", "d", "cpu", "00", "p90", 1.0, 0.9, 1.1, "pass")
    (tmp_path / "history.png").write_text("the last one")
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(OSError, match="No space left"):
        history_chart.plot([point], tmp_path / "history.png")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("history.png", "the last one")]


def test_a_plot_of_ten_times_the_smallest_is_logarithmic_and_of_one_run_is_a_point(tmp_path):
    start = datetime.datetime(2026, 1, 1)
    points = [
        Point(start + datetime.timedelta(days=n), "m", "d", "cpu", "00", "p90", v, 0.9 * v, 1.1 * v, "measured")
        for n, v in enumerate([1.0] * 4 + [30.0] * 4)
    ]
    history_chart.plot(points, tmp_path / "history.svg")
    text = (tmp_path / "history.svg").read_text()
    assert all(
        f"<!-- {word} -->" in text for word in ("1", "2", "5", "10", "20", "30x", "measured", "interval", "level")
    )
    history_chart.plot(points[:1], tmp_path / "one.svg")
    assert (
        "<!-- 2026-01-01 -->" in (tmp_path / "one.svg").read_text()
        or "2026-01-01" in (tmp_path / "one.svg").read_text()
    )


@pytest.mark.parametrize("name", ["$\\frac{", "a\nb", "\u202ex", "\x1b[2J"])
@pytest.mark.parametrize("value", [1.0, -1e30, 1e30, 5e-324, 0.0])
@pytest.mark.filterwarnings("error")
def test_odd_names_and_values_are_drawn(tmp_path, name, value):
    points = [Point(datetime.datetime(1, 1, 1), name, name, name, "", "p90", v, v, v, name) for v in (value, 1.0)]
    history_chart.plot(points, tmp_path / "history.svg")
    assert (tmp_path / "history.svg").stat().st_size
