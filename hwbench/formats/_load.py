"""Chart: server's latency against the rate of answers, up to where they no longer keep up with the arrivals."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from hwbench import serving
from hwbench.field import Field
from hwbench.formats import _rates, _svg
from hwbench.formats._svg import ACCENT, INK, LIMIT, MUTED, QUIET
from hwbench.latency import Latency

WIDTH, HEIGHT = 400, 330
_BELOW = 0.8  # of the least latency, and above the largest as much more


def draw(figure: Figure, field: Field) -> None:
    """Fill the figure; the field must be of a server."""
    assert field.chosen is not None
    found, bound = _rates.rates(field.chosen), field.budgets[0]
    axes = figure.add_axes((52 / WIDTH, 48 / HEIGHT, (WIDTH - 104) / WIDTH, (HEIGHT - 82) / HEIGHT))
    rates = [latency.throughput_per_s.value for latency in found]
    lines = {50.0: MUTED, 90.0: QUIET, 99.0: INK} | {serving.percent_of(bound): ACCENT}
    heights = {percent: [_percentile(latency, percent) for latency in found] for percent in lines}
    for percent, color in lines.items():
        axes.plot(rates, heights[percent], "o-", color=color, markersize=4, linewidth=1.5, zorder=3)
        axes.annotate(
            f"p{percent:g}", (rates[-1], heights[percent][-1]), xytext=(8, 0), textcoords="offset points",
            va="center", fontsize=11, color=color, annotation_clip=False,
        )  # fmt: skip
    best = serving.largest(found, bound)
    if best is not None:
        axes.plot(rates[best], heights[serving.percent_of(bound)][best], "o", color=ACCENT, markersize=10, zorder=4)
    _svg.limit_line(axes, y=bound.limit)
    axes.annotate(
        bound.text, (0, bound.limit), xycoords=("axes fraction", "data"), xytext=(4, 3), textcoords="offset points",
        va="bottom", fontsize=11, color=LIMIT,
    )  # fmt: skip
    low, high = min(map(min, heights.values())), max(max(map(max, heights.values())), bound.limit)
    axes.set_yscale("log")
    axes.set_ylim(_BELOW * low, high / _BELOW)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y")
    _svg.scale_x(axes, 0.0, 1.05 * max(rates))
    _svg.title_axes(axes, "answers per s", "latency in ms")


def _percentile(latency: Latency, percent: float) -> float:
    try:
        return latency.percentile(percent).value
    except ValueError:
        return float("nan")
