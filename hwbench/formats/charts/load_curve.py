"""Chart of a server's latency against its rate of answers, up to the rate where the queue grows."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from hwbench.formats.charts import inline_svg
from hwbench.formats.charts.inline_svg import ACCENT, INK, LIMIT, MUTED, QUIET
from hwbench.formats.sections import rate_rows
from hwbench.load import server_max_rate
from hwbench.measurements.latency import Latency
from hwbench.results.profile_results import ProfileResult

WIDTH, HEIGHT = 400, 330
_COLORS = {50.0: MUTED, 90.0: QUIET, 99.0: INK}
_ROOM = 1.25  # factor above the highest point and below the lowest


def draw(figure: Figure, result: ProfileResult) -> None:
    """Draw the chart of a result of the scenario server."""
    assert result.selected is not None
    found, bound = rate_rows.rates(result.selected), result.budgets[0]
    axes = figure.add_axes((52 / WIDTH, 48 / HEIGHT, (WIDTH - 68) / WIDTH, (HEIGHT - 82) / HEIGHT))
    bounded = server_max_rate.percent_of(bound)
    colors = dict(sorted({**_COLORS, bounded: ACCENT}.items()))
    lines = {percent: _points(found, percent) for percent in colors}
    for percent, points in lines.items():
        rates, heights = [rate for rate, _ in points], [height for _, height in points]
        axes.plot(rates, heights, "o-", color=colors[percent], markersize=4, linewidth=1.5, zorder=3)
    _legend(figure, colors)
    best = server_max_rate.largest(found, bound)
    if best is not None:
        rate = found[best].throughput_per_s.value
        axes.plot(rate, found[best].percentile(bounded).value, "o", color=ACCENT, markersize=10, zorder=4)
    inline_svg.limit_line(axes, y=bound.limit)
    axes.annotate(
        bound.text, (0, bound.limit), xycoords=("axes fraction", "data"), xytext=(4, 3), textcoords="offset points",
        va="bottom", fontsize=11, color=LIMIT,
    )  # fmt: skip
    drawn = [height for points in lines.values() for _, height in points] + [bound.limit]
    _scale_y(axes, min(drawn) / _ROOM, max(drawn) * _ROOM)
    inline_svg.scale_x(axes, 0.0, 1.05 * max(latency.throughput_per_s.value for latency in found))
    inline_svg.title_axes(axes, "answers per s", "latency in ms")


def _points(found: tuple[Latency, ...], percent: float) -> list[tuple[float, float]]:
    """List rates and latencies, without the rates that have too few samples."""
    points = []
    for latency in found:
        try:
            points.append((latency.throughput_per_s.value, latency.percentile(percent).value))
        except ValueError:
            continue
    return points


def _legend(figure: Figure, colors: Mapping[float, str]) -> None:
    handles = [Line2D([], [], color=color, marker="o", markersize=4, label=f"p{p:g}") for p, color in colors.items()]
    figure.legend(
        handles=handles, loc="upper right", ncols=len(handles), frameon=False, fontsize=11, labelcolor=MUTED,
        handlelength=1.4, handletextpad=0.4, columnspacing=1.3, borderaxespad=0, borderpad=0.2,
    )  # fmt: skip


def _scale_y(axes: Axes, low: float, high: float) -> None:
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y")
