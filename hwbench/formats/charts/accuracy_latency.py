"""Chart of accuracy against latency, with the Pareto front of the candidates."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from hwbench import metrics
from hwbench.budgets.budget import Budget
from hwbench.formats.charts import inline_svg
from hwbench.formats.charts.axis_limits import is_within, mark, reach
from hwbench.formats.charts.inline_svg import ACCENT, BAND, INK, MUTED, QUIET, SURFACE
from hwbench.formats.charts.label_placement import Labels, Point
from hwbench.formats.sections import rows
from hwbench.formats.sections.rows import Row
from hwbench.measurements.accuracy import Accuracy
from hwbench.results.profile_results import ProfileResult, pareto

WIDTH, HEIGHT = 400, 330
_MANY = 8  # more than eight names would hide the points
_FAR_FLOOR = 3.0  # a floor that is farther off than three times the range of the scores is left out
_SPREAD = 0.05  # least range of the scores, as a share of a score


def quantity(result: ProfileResult) -> str:
    """Choose the latency to draw: the one that a budget limits, else p50."""
    return next((budget.quantity for budget in result.budgets if _limits_percentile(budget)), "p50")


def drawable(result: ProfileResult, table: Sequence[Row]) -> tuple[Row, ...]:
    """List the candidates that have both figures."""
    return tuple(row for row in table if {"accuracy", quantity(result)} <= row.figures.keys())


def front(result: ProfileResult, shown: Sequence[Row]) -> tuple[Row, ...]:
    """List the candidates on the Pareto front; see `pareto`."""
    candidates = pareto(result.candidates, latency=quantity(result))
    return tuple(row for row in shown if row.candidate in candidates)


def beyond(shown: Sequence[Row]) -> tuple[tuple[Row, float], ...]:
    """List the candidates beyond the axis, with their accuracy."""
    worst, higher_is_better = _reach_of(shown), _accuracy(shown).higher_is_better
    scores = [(row, row.figures["accuracy"].value) for row in shown]
    return tuple((row, score) for row, score in scores if not is_within(score, worst, higher_is_better))


def named(result: ProfileResult, shown: Sequence[Row]) -> tuple[Row, ...]:
    """List the candidates whose names are written: all on the axes or, of many, the front, the selected one and the
    unsettled one.
    """
    best, far = front(result, shown), [row for row, _ in beyond(shown)]
    return tuple(
        row
        for row in shown
        if row not in far
        and (
            len(shown) <= _MANY or row in best or row.candidate.status == "selected" or row in unsettled(result, shown)
        )
    )


def unsettled(result: ProfileResult, shown: Sequence[Row]) -> tuple[Row, ...]:
    """Find the candidate that more samples might have selected, if it is shown."""
    found = result.unsettled
    return tuple(row for row in shown if found is not None and row.candidate.name == found.candidate)


def draw(figure: Figure, result: ProfileResult, table: Sequence[Row]) -> None:
    """Draw the chart; at least one row must be drawable."""
    shown, latency = drawable(result, table), quantity(result)
    accuracy, far = _accuracy(shown), [row for row, _ in beyond(shown)]
    axes = add_axes(figure)
    better = "higher" if accuracy.higher_is_better else "lower"
    metric = rows.heading("accuracy", shown)
    inline_svg.title_axes(axes, f"{latency} in ms (lower is better)", f"{metric} ({better} is better)")
    near = [row for row in shown if row not in far]
    points = [_point(row, latency) for row in near]
    limits = [budget for budget in result.budgets if _limits_percentile(budget) and budget.quantity == latency]
    floors = [(value, text) for budget in result.budgets for value, text in _floor(budget, accuracy)]
    beside = [row.figures[latency].value for row in far]
    scale(axes, points, [budget.limit for budget in limits], [value for value, _ in floors], beside)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    labels = Labels(axes)
    labels.keep_free(points, _front(axes, result, latency))
    _shade(axes, [budget.limit for budget in limits], [value for value, _ in floors], accuracy.higher_is_better)
    floors = [(value, text) for value, text in floors if bottom < value < top]
    _limits(axes, labels, [(b.limit, b.text) for b in limits if left < b.limit < right], floors)
    for point, row in zip(points, near):
        is_open = row in unsettled(result, near)
        _mark(axes, point, ACCENT if row.candidate.status == "selected" or is_open else QUIET, hollow=is_open)
    mark(axes, beside, QUIET, accuracy.higher_is_better)
    labels.name([_point(row, latency) for row in named(result, shown)])


def add_axes(figure: Figure) -> Axes:
    """Add axes that leave room for their titles."""
    return figure.add_axes((52 / WIDTH, 48 / HEIGHT, (WIDTH - 64) / WIDTH, (HEIGHT - 82) / HEIGHT))


def scale(
    axes: Axes,
    points: Sequence[Point],
    limits: Sequence[float] = (),
    floors: Sequence[float] = (),
    beside: Sequence[float] = (),
) -> None:
    """Give the axes their ranges. A limit that is far from every point would squeeze the points, and is left out.

    Args:
        axes: the chart's.
        points: candidates, with their error bars.
        limits: upper limits of the latency.
        floors: lower limits of the score.
        beside: latencies of the candidates beyond the axis of scores.
    """
    xs = [bar for point in points for bar in point.error_bars[:2]] + list(beside)
    ys = [bar for point in points for bar in point.error_bars[2:]]
    reached = _FAR_FLOOR * max(max(ys) - min(ys), _SPREAD * max(map(abs, ys)))
    ys += [floor for floor in floors if min(ys) - reached <= floor <= max(ys) + reached]
    xs += [limit for limit in limits if min(xs) / 1.5 <= limit <= max(xs) * 1.5]
    room = max(xs) - min(xs) or 0.2 * max(xs) or 1.0
    inline_svg.scale_x(axes, max(min(xs) - 0.1 * room, min(xs) / 1.4), max(xs) + 0.12 * room)
    room = max(ys) - min(ys) or 0.01
    axes.set_ylim(min(ys) - 0.1 * room, max(ys) + 0.1 * room)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="y")


def _reach_of(shown: Sequence[Row]) -> float:
    selected = next((row.figures["accuracy"].value for row in shown if row.candidate.status == "selected"), None)
    return reach([row.figures["accuracy"].value for row in shown], selected, _accuracy(shown).higher_is_better)


def _accuracy(shown: Sequence[Row]) -> Accuracy:
    return next(
        row.candidate.report.accuracy for row in shown if row.candidate.report and row.candidate.report.accuracy
    )


def _point(row: Row, latency: str) -> Point:
    x, y, selected = row.figures[latency], row.figures["accuracy"], row.candidate.status == "selected"
    bars = (x.low, x.high, y.low, y.high)
    return Point(row.tag, x.value, y.value, bars, ACCENT if selected else INK, selected)


def _mark(axes: Axes, point: Point, color: str, *, hollow: bool) -> None:
    x_low, x_high, y_low, y_high = point.error_bars
    axes.plot((x_low, x_high), (point.y, point.y), color=color, linewidth=1.5, zorder=3)
    axes.plot((point.x, point.x), (y_low, y_high), color=color, linewidth=1.5, zorder=3)
    size = 10 if point.important else 7
    face = SURFACE if hollow else color
    axes.plot(point.x, point.y, "o", color=color, markerfacecolor=face, markersize=size, zorder=4)


def _limits(
    axes: Axes, labels: Labels, limits: Sequence[tuple[float, str]], floors: Sequence[tuple[float, str]]
) -> None:
    """Draw a line at each budget's limit, with the budget's text."""
    for value, _ in limits:
        inline_svg.limit_line(axes, x=value)
        labels.keep_free((), [(value, y) for y in axes.get_ylim()])
    for value, _ in floors:
        inline_svg.limit_line(axes, y=value)
        labels.keep_free((), [(x, value) for x in axes.get_xlim()])
    for value, text in limits:
        labels.name_limit(text, x=value)
    for value, text in floors:
        labels.name_limit(text, y=value)


def _shade(axes: Axes, limits: Sequence[float], floors: Sequence[float], higher_is_better: bool) -> None:
    """Shade the area within the budgets."""
    if not limits and not floors:
        return
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    right = min(right, *limits) if limits else right
    if higher_is_better:
        bottom = max(bottom, *floors) if floors else bottom
    else:
        top = min(top, *floors) if floors else top
    if right > left and top > bottom:
        axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, color=BAND, linewidth=0, zorder=0.5))


def _front(axes: Axes, result: ProfileResult, latency: str) -> list[tuple[float, float]]:
    """Draw the Pareto front, and return its corners."""
    reports = [
        candidate.report for candidate in pareto(result.candidates, latency=latency) if candidate.report is not None
    ]
    points = [(report.estimate(latency).value, report.estimate("accuracy").value) for report in reports]
    corners = [corner for a, b in itertools.pairwise(points) for corner in (a, (b[0], a[1]))] + points[-1:]
    axes.plot(*zip(*corners), color=MUTED, linewidth=1.2, zorder=1.8, scalex=False, scaley=False)
    return corners


def _floor(budget: Budget, accuracy: Accuracy) -> list[tuple[float, str]]:
    """Find the accuracy that a budget on the first metric asks for; a drop counts from the source model's accuracy."""
    if metrics.find([one.metric for one in accuracy.each], budget.metric) != 0:
        return []
    if budget.quantity == "accuracy" and not budget.relative:
        return [(budget.limit, budget.text)]
    if budget.quantity == "accuracy_drop" and accuracy.reference is not None:
        source = accuracy.reference.value
        drop = budget.limit * (abs(source) if budget.of_source else 1)
        return [(source - drop * (1 if accuracy.higher_is_better else -1), budget.text)]
    return []


def _limits_percentile(budget: Budget) -> bool:
    return budget.quantity[0] == "p" and budget.quantity[1].isdigit() and not budget.relative
