"""Chart: how latency is distributed, one strip per candidate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from hwbench.field import Field
from hwbench.formats import _svg
from hwbench.formats._rows import Row
from hwbench.formats._svg import ACCENT, MUTED, QUIET
from runtimes.tensors import Array

WIDTH = 400
_ROW = 44
_BINS = 72
_LOG_FROM = 10.0
_MARKS = {"p50": ("o", 6.0), "p90": ("|", 11.0), "p99": ("D", 4.5)}


def drawable(table: Sequence[Row]) -> tuple[Row, ...]:
    """The candidates whose latency was measured, fastest first."""
    timed = [row for row in table if row.entry.report is not None and row.entry.report.latency is not None]
    return tuple(sorted(timed, key=lambda row: float(np.median(_samples(row)))))


def height(table: Sequence[Row]) -> int:
    """What the strips take, in pixels."""
    return len(drawable(table)) * _ROW + 96


def draw(figure: Figure, field: Field, table: Sequence[Row]) -> None:
    """Fill the figure; at least one row must be drawable."""
    shown = drawable(table)
    tall = height(table)
    left = _svg.name_width([row.name for row in shown])
    axes = figure.add_axes((left / WIDTH, 44 / tall, (WIDTH - left - 16) / WIDTH, (tall - 92) / tall))
    edges = _scale(axes, [_samples(row) for row in shown])
    for position, row in enumerate(reversed(shown)):
        _strip(axes, position, row, edges)
    axes.set_ylim(-0.4, len(shown) - 0.05)
    chosen = [row.entry.status == "chosen" for row in reversed(shown)]
    _svg.name_rows(axes, [row.name for row in reversed(shown)], chosen)
    axes.spines["left"].set_visible(False)
    _svg.title_axes(axes, "latency in ms")
    for budget in field.budgets:
        if budget.quantity in _MARKS and not budget.relative and edges[0] <= budget.limit <= edges[-1]:
            _svg.limit_above(axes, budget.limit, budget.text)
    _key(figure)


def _samples(row: Row) -> Array:
    assert row.entry.report is not None and row.entry.report.latency is not None
    return row.entry.report.latency.samples_ms


def _scale(axes: Axes, series: Sequence[Array]) -> Array:
    """Set the x axis, and return the edges of the bins, equally wide to the eye."""
    low, high = min(float(s.min()) for s in series), max(float(s.max()) for s in series)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if low > 0 and high > _LOG_FROM * low:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        low, high = low / 1.1, high * 1.1
        axes.set_xlim(low, high)
        return np.geomspace(low, high, _BINS + 1)
    room = 0.04 * (high - low) or 0.1 * high or 1.0
    axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    return np.linspace(low - room, high + room, _BINS + 1)


def _strip(axes: Axes, position: int, row: Row, edges: Array) -> None:
    samples = _samples(row)
    color = ACCENT if row.entry.status == "chosen" else QUIET
    counts, _ = np.histogram(samples, edges)
    axes.stairs(position + 0.72 * counts / counts.max(), edges, baseline=position, fill=True, color=color, alpha=0.45)
    below = position - 0.17
    axes.plot((samples.min(), samples.max()), (below, below), color=color, linewidth=1.2, zorder=2)
    for quantity, (marker, size) in _MARKS.items():
        if quantity in row.figures:
            axes.plot(row.figures[quantity].value, below, marker, color=color, markersize=size, markeredgewidth=2, zorder=3)


def _key(figure: Figure) -> None:
    handles = [
        Line2D([], [], color=MUTED, marker=marker, markersize=size, markeredgewidth=2, linestyle="none", label=quantity)
        for quantity, (marker, size) in _MARKS.items()
    ]
    handles.append(Line2D([], [], color=MUTED, linewidth=1.2, label="fastest to slowest run"))
    figure.legend(
        handles=handles, loc="upper left", ncols=4, frameon=False, fontsize=11, labelcolor=MUTED, handlelength=1.4,
        handletextpad=0.4, columnspacing=1.3, borderaxespad=0, borderpad=0.2,
    )  # fmt: skip
