"""Chart of one figure from run to run, with its levels and change points, in a picture file of its own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from hwbench.formats._escape import line
from hwbench.measurements.quantities import quantity_of, split
from hwbench.results.history import Point
from hwbench.stats.change_points import change, levels
from runtimes.errors import UsageError
from runtimes.files import replacing

_LABELS = 7  # dates that fit side by side
_LOG_FROM = 10.0  # ratio of the largest value to the smallest above which a linear scale would hide the lower level
_COLORS = {"pass": "#1b7f4b", "fail": "#c0392b", "inconclusive": "#c98a00", "measured": "#34516b"}
_INK, _BAND, _CHANGE = "#34516b", "#c3d0dc", "#7a3b86"


def plot(points: Sequence[Point], file: Path) -> None:
    """Draw a history with its intervals and levels, as PNG, SVG or PDF by the file's suffix.

    Raises:
        UsageError: the file cannot be written, or its suffix is none of these.
        OSError: the disk is full.
    """
    quantity, metric = quantity_of(points[0].quantity), split(points[0].quantity)[1]
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw(axes, points, quantity.scale)
    _scale(axes, points)
    axes.set_ylabel(line(f"{metric} {quantity.heading} {quantity.unit}".strip()), parse_math=False)
    title = line(f"{points[0].model} for {points[0].profile}, {points[0].device}")
    axes.set_title(title, fontsize=10, loc="left", parse_math=False)  # a name may hold dollar signs
    figure.legend(loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    try:
        with replacing(file) as beside:
            figure.savefig(beside, format=file.suffix[1:])
    except ValueError as error:  # the suffix names no format
        raise UsageError(f"'{file}' cannot be drawn: {error}.") from None


def _draw(axes: Axes, points: Sequence[Point], scale: float) -> None:
    value, low, high = (
        np.asarray([scale * getattr(point, name) for point in points]) for name in ("value", "low", "high")
    )
    axes.vlines(np.arange(len(points)), low, high, color=_BAND, linewidth=4, label="interval")
    for outcome, color in _COLORS.items():
        runs = [index for index, point in enumerate(points) if point.outcome == outcome]
        if runs:
            axes.scatter(runs, value[runs], color=color, zorder=3, label=outcome)
    found = levels([point.value for point in points])
    for number, level in enumerate(found):
        middle = scale * level.median
        name = "level" if number == 0 else "_"  # the legend shows one of several
        axes.hlines(middle, level.start - 0.4, level.end - 0.6, color=_INK, linewidth=1.2, zorder=2, label=name)
    for before, after in itertools.pairwise(found):
        axes.axvline(after.start - 0.5, color=_CHANGE, linestyle="--", linewidth=1)
        axes.annotate(
            change(before, after), (after.start - 0.5, 1), xycoords=("data", "axes fraction"), xytext=(3, -4),
            textcoords="offset points", va="top", fontsize=9, color=_CHANGE,
        )  # fmt: skip


def _scale(axes: Axes, points: Sequence[Point]) -> None:
    lows, highs = [point.low for point in points], [point.high for point in points]
    axes.grid(axis="y", color="#e5e9ed")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if 0 < _LOG_FROM * min(lows) < max(highs):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0, top=axes.get_ylim()[1] * 1.08)  # room for the words of a change
    axes.set_xlim(-0.7, len(points) - 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(_LABELS, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _date(points, round(x))))


def _date(points: Sequence[Point], index: int) -> str:
    return f"{points[index].at:%Y-%m-%d\n%H:%M}" if 0 <= index < len(points) else ""
