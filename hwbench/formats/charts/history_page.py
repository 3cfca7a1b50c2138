"""Static page of a history: the course of a figure for each model and device, with the changes of its level."""

from __future__ import annotations

from collections.abc import Sequence

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hwbench.formats._escape import clean, line
from hwbench.formats.charts import inline_svg
from hwbench.formats.charts.inline_svg import ACCENT, BAND, INK, LIMIT
from hwbench.measurements.quantities import quantity_of, split
from hwbench.results.history import Point
from hwbench.results.series import changes
from hwbench.stats.change_points import why_undetectable
from hwbench.wording import count
from runtimes.tensors import Array

_WIDTH, _HEIGHT = 860, 260
_DATES = 6  # that fit side by side


def render(series: Sequence[Sequence[Point]]) -> str:
    """Write a page without scripts that fetches nothing.

    Args:
        series: points of one quantity, one sequence per model, profile and device, each oldest first.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hwbench"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("history.html.j2").render(
        heading=f"History of {series[0][0].quantity}",
        courses=[_course(points, f"h{number}") for number, points in enumerate(series, 1)],
    )
    return clean(page) + "\n"


def _course(points: Sequence[Point], key: str) -> dict[str, object]:
    """Collect the values that the template shows of one series; `key` is unique on the page."""
    found = changes(points)[1]
    name = f"{points[0].model} for {points[0].profile}, {points[0].device}"
    svg = inline_svg.render(
        lambda figure: _draw(figure, points), _WIDTH, _HEIGHT, key, clean(f"{points[0].quantity} of {name}, run by run")
    )
    return {
        "model": points[0].model,
        "profile": points[0].profile,
        "device": points[0].device,
        "runs": count(len(points), "run"),
        "last": f"{points[-1].at:%Y-%m-%d %H:%M} UTC",
        "svg": Markup(svg),
        "why": why_undetectable([point.value for point in points]),
        "changes": [
            {"at": f"{points[each.index].at:%Y-%m-%d %H:%M}", "size": each.size, "commits": each.commits}
            for each in found
        ],
    }


def _draw(figure: Figure, points: Sequence[Point]) -> None:
    quantity, metric = quantity_of(points[0].quantity), split(points[0].quantity)[1]
    axes = figure.add_axes((64 / _WIDTH, 44 / _HEIGHT, (_WIDTH - 84) / _WIDTH, (_HEIGHT - 84) / _HEIGHT))
    value, low, high = (
        np.asarray([quantity.scale * getattr(point, name) for point in points]) for name in ("value", "low", "high")
    )
    axes.vlines(np.arange(len(points)), low, high, color=BAND, linewidth=5)
    axes.plot(np.arange(len(points)), value, "o", color=INK, markersize=4, zorder=3)
    broken = [index for index, point in enumerate(points) if point.outcome == "fail"]
    axes.plot(broken, value[broken], "X", color=LIMIT, markersize=8, zorder=4)
    found, steps = changes(points)
    for level in found:
        axes.hlines(quantity.scale * level.median, level.start - 0.4, level.end - 0.6, color=ACCENT, linewidth=1.6)
    for step in steps:
        inline_svg.limit_above(axes, step.index - 0.5, step.size)
    axes.grid(axis="y")
    _scale(axes, points, low, high)
    inline_svg.title_axes(axes, "", line(f"{metric} {quantity.heading} {quantity.unit}".strip()))


def _scale(axes: Axes, points: Sequence[Point], low: Array, high: Array) -> None:
    axes.set_ylim(bottom=min(0.0, 1.1 * float(low.min())), top=1.1 * float(high.max()) or 1.0)
    axes.set_xlim(-0.7, len(points) - 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(_DATES, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _date(points, round(x))))


def _date(points: Sequence[Point], index: int) -> str:
    return f"{points[index].at:%Y-%m-%d}" if 0 <= index < len(points) else ""
