"""The charts of one field: which there are, and what to say under them."""

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
from hwbench.formats.charts.axis_limits import told
from hwbench.formats.sections import rate_rows
from hwbench.formats.sections.rows import Row
from hwbench.results.profile_results import ProfileResult
from hwbench.stats.intervals import CONFIDENCE


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        svg: an `<svg>` element.
        caption: how to read it.
    """

    title: str
    svg: str
    caption: str


def charts(field: ProfileResult, table: tuple[Row, ...], prefix: str) -> tuple[Chart, ...]:
    """Those that there are figures for; comparisons only where there are two to compare.

    Args:
        field: what to draw.
        table: its rows.
        prefix: unique on the page; begins every chart's ids.
    """
    found = [_served(field, table, prefix), _accuracy(field, table, prefix), _screening(table, prefix)]
    found.append(_latency(field, table, prefix))
    found.append(
        _bar(field, table, "size", "File size", "The artifact; the bundle adds golden samples and the report.", prefix)
    )
    memory = "The most the inference process ever held, interpreter and runtime included."
    found.append(_bar(field, table, "peak_memory", "Peak memory", memory, prefix))
    return tuple(chart for chart in found if chart is not None)


def _served(field: ProfileResult, table: tuple[Row, ...], prefix: str) -> Chart | None:
    if rate_rows.table(field) is None:
        return None
    title = "Latency against throughput"
    svg = inline_svg.render(
        partial(load_curve.draw, field=field),
        load_curve.WIDTH,
        load_curve.HEIGHT,
        f"{prefix}-load",
        _said(title, table),
    )
    caption = "One point per rate of random arrivals. Large: the largest rate that holds the bound."
    return Chart(title, svg, f"{caption} Where latency soars, answers no longer keep up with them.")


def _accuracy(field: ProfileResult, table: tuple[Row, ...], prefix: str) -> Chart | None:
    shown = accuracy_latency.drawable(field, table)
    if len(shown) < 2:
        return None
    best, far = accuracy_latency.front(field, shown), accuracy_latency.beyond(shown)
    caption = f"Bars are {CONFIDENCE:.0%} confidence intervals. "
    if len(best) > 1:
        caption += "No candidate beats those on the line on both counts."
    else:
        caption += f"None is better than {best[0].name} on either count."
    caption += " Shaded: within the budgets." if field.budgets else ""
    if len(accuracy_latency.named(field, shown)) < len(shown) - len(far):
        caption += f" Named: {'those on the line' if len(best) > 1 else 'that one'}, and the chosen one."
    caption += told(far)
    left_out = [row.name for row in table if row.entry.report is not None and row not in shown]
    caption += f" Not drawn, for want of a figure: {', '.join(left_out)}." if left_out else ""
    title = "Accuracy against latency"
    draw = partial(accuracy_latency.draw, field=field, table=table)
    svg = inline_svg.render(
        draw, accuracy_latency.WIDTH, accuracy_latency.HEIGHT, f"{prefix}-accuracy", _said(title, shown)
    )
    return Chart(title, svg, caption)


def _screening(table: tuple[Row, ...], prefix: str) -> Chart | None:
    """Where some went that the chart of accuracy does not hold."""
    shown = screening_scores.drawable(table)
    if len(shown) < 2 or all(map(screening_scores.went_on, shown)):
        return None
    caption = "By short measurements and calibration data. Filled: measured well later on; hollow: let go before that."
    far = screening_scores.beyond(shown)
    if len(screening_scores.named(shown)) < len(shown) - len(far):
        caption += " Named: those measured well."
    caption += told(far)
    title = "What was screened"
    draw = partial(screening_scores.draw, table=table)
    svg = inline_svg.render(
        draw, accuracy_latency.WIDTH, accuracy_latency.HEIGHT, f"{prefix}-screened", _said(title, shown)
    )
    return Chart(title, svg, caption)


def _latency(field: ProfileResult, table: tuple[Row, ...], prefix: str) -> Chart | None:
    shown = latency_distribution.drawable(table)
    if not shown:
        return None
    title = "Latency distribution"
    draw = partial(latency_distribution.draw, field=field, table=table)
    svg = inline_svg.render(
        draw, latency_distribution.WIDTH, latency_distribution.height(table), f"{prefix}-latency", _said(title, shown)
    )
    caption = "Each strip shows how often a run took that long; the marks below it are its percentiles."
    return Chart(title, svg, f"{caption} {latency_distribution.beyond(table)}".strip())


def _bar(
    field: ProfileResult, table: tuple[Row, ...], quantity: str, title: str, caption: str, prefix: str
) -> Chart | None:
    shown = bars.drawable(table, quantity)
    if len(shown) < 2:
        return None
    draw = partial(bars.draw, field=field, table=table, quantity=quantity)
    height = bars.height(field, table, quantity)
    svg = inline_svg.render(draw, bars.WIDTH, height, f"{prefix}-{quantity}", _said(title, shown))
    return Chart(title, svg, caption)


def _said(title: str, shown: tuple[Row, ...]) -> str:
    names = ", ".join(row.name for row in shown)
    return f"{title} of {names}. The table of candidates holds the figures."
