"""Charts of one profile with their captions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from hwbench.formats.charts import (
    accuracy_latency,
    bars,
    inline_svg,
    latency_distribution,
    load_curve,
    screening_scores,
)
from hwbench.formats.charts.axis_limits import describe_beyond
from hwbench.formats.sections import rate_rows
from hwbench.formats.sections.rows import Row
from hwbench.results.profile_results import ProfileResult
from hwbench.stats.intervals import CONFIDENCE


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        svg: an `<svg>` element.
        caption: a few sentences on how to read the chart.
    """

    title: str
    svg: str
    caption: str


def charts(result: ProfileResult, table: tuple[Row, ...], prefix: str) -> tuple[Chart, ...]:
    """Draw the charts whose figures exist; a comparison takes two candidates.

    Args:
        result: the profile's result.
        table: its rows.
        prefix: unique on the page; begins every chart's ids.
    """
    found = [_served(result, table, prefix), _accuracy(result, table, prefix), _screening(table, prefix)]
    found.append(_latency(result, table, prefix))
    size = "The model file; the bundle adds golden samples and the report."
    found.append(_bar(result, table, "size", "File size", size, prefix))
    memory = "Most memory that the inference process held at a time, with the interpreter and the runtime."
    found.append(_bar(result, table, "peak_memory", "Peak memory", memory, prefix))
    return tuple(chart for chart in found if chart is not None)


def _served(result: ProfileResult, table: tuple[Row, ...], prefix: str) -> Chart | None:
    if rate_rows.table(result) is None:
        return None
    title = "Latency against throughput"
    svg = inline_svg.render(
        partial(load_curve.draw, result=result),
        load_curve.WIDTH,
        load_curve.HEIGHT,
        f"{prefix}-load",
        _description(title, table),
    )
    caption = "Each point is a rate of random arrivals. The large point is the highest rate that holds the bound."
    return Chart(title, svg, f"{caption} Where latency soars, the server no longer keeps up with the arrivals.")


def _accuracy(result: ProfileResult, table: tuple[Row, ...], prefix: str) -> Chart | None:
    shown = accuracy_latency.drawable(result, table)
    if len(shown) < 2:
        return None
    best, far = accuracy_latency.front(result, shown), accuracy_latency.beyond(shown)
    caption = f"Bars are {CONFIDENCE:.0%} confidence intervals. "
    if len(best) > 1:
        caption += "No candidate beats one on the line on both axes."
    else:
        caption += f"No candidate beats {best[0].name} on either axis."
    caption += " The shaded area meets the budgets." if result.budgets else ""
    if len(accuracy_latency.named(result, shown)) < len(shown) - len(far):
        caption += f" Names are shown for {'those on the line' if len(best) > 1 else 'that one'} and the selected one."
    for row in accuracy_latency.unsettled(result, [row for row in shown if row not in [each for each, _ in far]]):
        caption += f" The hollow point, {row.name}, is unsettled."
    caption += describe_beyond(far)
    left_out = [row.name for row in table if row.candidate.report is not None and row not in shown]
    caption += f" Not drawn, since a figure is missing: {', '.join(left_out)}." if left_out else ""
    title = "Accuracy against latency"
    draw = partial(accuracy_latency.draw, result=result, table=table)
    svg = inline_svg.render(
        draw, accuracy_latency.WIDTH, accuracy_latency.HEIGHT, f"{prefix}-accuracy", _description(title, shown)
    )
    return Chart(title, svg, caption)


def _screening(table: tuple[Row, ...], prefix: str) -> Chart | None:
    """Draw the candidates that were screened, if the chart of accuracy leaves some of them out."""
    shown = screening_scores.drawable(table)
    if len(shown) < 2 or all(map(screening_scores.was_measured, shown)):
        return None
    caption = (
        "Short measurements and scores on calibration data. Filled points were measured in full later; "
        "hollow ones were rejected."
    )
    far = screening_scores.beyond(shown)
    if len(screening_scores.named(shown)) < len(shown) - len(far):
        caption += " Names are shown for those measured in full."
    caption += describe_beyond(far)
    title = "Screened candidates"
    draw = partial(screening_scores.draw, table=table)
    svg = inline_svg.render(
        draw, accuracy_latency.WIDTH, accuracy_latency.HEIGHT, f"{prefix}-screened", _description(title, shown)
    )
    return Chart(title, svg, caption)


def _latency(result: ProfileResult, table: tuple[Row, ...], prefix: str) -> Chart | None:
    shown = latency_distribution.drawable(table)
    if not shown:
        return None
    title = "Latency distribution"
    draw = partial(latency_distribution.draw, result=result, table=table)
    svg = inline_svg.render(
        draw,
        latency_distribution.WIDTH,
        latency_distribution.height(table),
        f"{prefix}-latency",
        _description(title, shown),
    )
    caption = "Each strip is a histogram of run times; the marks below it are percentiles."
    return Chart(title, svg, f"{caption} {latency_distribution.beyond(table)}".strip())


def _bar(
    result: ProfileResult, table: tuple[Row, ...], quantity: str, title: str, caption: str, prefix: str
) -> Chart | None:
    shown = bars.drawable(table, quantity)
    if len(shown) < 2:
        return None
    draw = partial(bars.draw, result=result, table=table, quantity=quantity)
    height = bars.height(result, table, quantity)
    svg = inline_svg.render(draw, bars.WIDTH, height, f"{prefix}-{quantity}", _description(title, shown))
    return Chart(title, svg, caption)


def _description(title: str, shown: tuple[Row, ...]) -> str:
    names = ", ".join(row.name for row in shown)
    return f"{title} of {names}. The table of candidates holds the figures."
