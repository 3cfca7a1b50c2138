"""Chart of the distribution of latency, one strip per candidate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hwbench.formats.charts import inline_svg
from hwbench.formats.charts.inline_svg import ACCENT, MUTED, QUIET
from hwbench.formats.sections import rows
from hwbench.formats.sections.rows import Row
from hwbench.results.profile_results import ProfileResult
from runtimes.tensors import Array

WIDTH = 400
_ROW, _TIGHT_ROW = 44, 36  # pixels
_MANY = 8  # above this number, rows are tight
_BINS = 72
_MOST, _FAR = 0.995, 2.0  # the axis ends at the 99.5th percentile if the slowest run takes over twice as long
_MARKS = {"p50": ("o", 6.0), "p90": ("|", 11.0), "p99": ("D", 4.5)}


def drawable(table: Sequence[Row]) -> tuple[Row, ...]:
    """List the candidates with latencies of single queries, the fastest first; offline has none."""
    timed = [
        row
        for row in table
        if row.candidate.report is not None
        and row.candidate.report.latency is not None
        and row.candidate.report.latency.scenario != "offline"
    ]
    return tuple(sorted(timed, key=lambda row: float(np.median(_samples(row)))))


def height(table: Sequence[Row]) -> int:
    """Compute the height of the chart in pixels."""
    shown = drawable(table)
    row = _ROW if len(shown) <= _MANY else _TIGHT_ROW
    return len(shown) * max(row, inline_svg.name_height([row.tag for row in shown])) + 96


def draw(figure: Figure, result: ProfileResult, table: Sequence[Row]) -> None:
    """Draw the chart; at least one row must be drawable."""
    shown = drawable(table)
    tall = height(table)
    left = inline_svg.name_width([row.tag for row in shown])
    axes = figure.add_axes((left / WIDTH, 44 / tall, (WIDTH - left - 16) / WIDTH, (tall - 92) / tall))
    edges = _scale(axes, [_samples(row) for row in shown])
    for position, row in enumerate(reversed(shown)):
        _strip(axes, position, row, edges)
    axes.set_ylim(-0.4, len(shown) - 0.05)
    selected = [row.candidate.status == "selected" for row in reversed(shown)]
    inline_svg.name_rows(axes, [row.tag for row in reversed(shown)], selected)
    axes.spines["left"].set_visible(False)
    inline_svg.title_axes(axes, "latency in ms")
    for budget in result.budgets:
        if budget.quantity in _MARKS and not budget.relative and edges[0] <= budget.limit <= edges[-1]:
            inline_svg.limit_above(axes, budget.limit, budget.text)
    _legend(figure)


def beyond(table: Sequence[Row]) -> str:
    """Write a sentence on the runs beyond the axis; empty where there are none."""
    series = [_samples(row) for row in drawable(table)]
    edge, runs = _edge(series), np.concatenate(series)
    if not (runs > edge).any():
        return ""
    slower = f"{(runs > edge).mean():.1%} of the runs took"
    return f"{slower} longer than the axis shows, the slowest {rows.show('p50', float(runs.max()))} ms."


def _samples(row: Row) -> Array:
    assert row.candidate.report is not None and row.candidate.report.latency is not None
    return row.candidate.report.latency.samples_ms


def _scale(axes: Axes, series: Sequence[Array]) -> Array:
    """Set the x axis, and return the edges of the bins, equally wide to the eye."""
    low, high = min(float(s.min()) for s in series), _edge(series)
    room = 0.04 * (high - low) or 0.1 * high or 1.0
    low, high = max(low - room, low / 1.1), high + room
    return (
        np.geomspace(low, high, _BINS + 1) if inline_svg.scale_x(axes, low, high) else np.linspace(low, high, _BINS + 1)
    )


def _edge(series: Sequence[Array]) -> float:
    """Find the end of the axis: the slowest run, unless a few are so slow that they would squeeze the rest."""
    slowest, most = max(float(s.max()) for s in series), max(float(np.quantile(s, _MOST)) for s in series)
    return slowest if slowest <= _FAR * most else most


def _strip(axes: Axes, position: int, row: Row, edges: Array) -> None:
    samples = _samples(row)
    color = ACCENT if row.candidate.status == "selected" else QUIET
    counts, _ = np.histogram(samples, edges)
    axes.stairs(position + 0.72 * counts / counts.max(), edges, baseline=position, fill=True, color=color, alpha=0.45)
    below = position - 0.17
    axes.plot((samples.min(), min(samples.max(), edges[-1])), (below, below), color=color, linewidth=1.2, zorder=2)
    if samples.max() > edges[-1]:
        axes.plot(edges[-1], below, ">", color=color, markersize=5, clip_on=False)
    for quantity, (marker, size) in _MARKS.items():
        if quantity in row.figures:
            at = row.figures[quantity].value
            axes.plot(at, below, marker, color=color, markersize=size, markeredgewidth=2, zorder=3)


def _legend(figure: Figure) -> None:
    handles = [
        Line2D([], [], color=MUTED, marker=marker, markersize=size, markeredgewidth=2, linestyle="none", label=quantity)
        for quantity, (marker, size) in _MARKS.items()
    ]
    handles.append(Line2D([], [], color=MUTED, linewidth=1.2, label="fastest to slowest run"))
    figure.legend(
        handles=handles, loc="upper left", ncols=4, frameon=False, fontsize=11, labelcolor=MUTED, handlelength=1.4,
        handletextpad=0.4, columnspacing=1.3, borderaxespad=0, borderpad=0.2,
    )  # fmt: skip
