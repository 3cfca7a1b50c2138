"""Chart of all screened candidates: the scores on calibration data and the p50 by which the search orders them."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from hwbench.formats.charts import accuracy_latency, inline_svg
from hwbench.formats.charts.axis_limits import is_within, mark, reach
from hwbench.formats.charts.inline_svg import ACCENT, INK, QUIET, SURFACE
from hwbench.formats.charts.label_placement import Labels, Point
from hwbench.formats.sections.rows import Row

_MANY = 8  # more than eight names would hide the points


def drawable(table: Sequence[Row]) -> tuple[Row, ...]:
    """List the candidates that were scored and timed in screening."""
    return tuple(row for row in table if _figures(row) is not None)


def was_measured(row: Row) -> bool:
    """Tell whether a candidate was also scored on the evaluation data."""
    return row.candidate.report is not None


def beyond(shown: Sequence[Row]) -> tuple[tuple[Row, float], ...]:
    """List the candidates beyond the axis, with their scores."""
    scores = {row.candidate.name: figures[1] for row in shown if (figures := _figures(row)) is not None}
    selected = next((scores[row.candidate.name] for row in shown if row.candidate.status == "selected"), None)
    higher_is_better = _higher_is_better(shown)
    worst = reach(list(scores.values()), selected, higher_is_better)
    found = ((row, scores[row.candidate.name]) for row in shown)
    return tuple((row, score) for row, score in found if not is_within(score, worst, higher_is_better))


def named(shown: Sequence[Row]) -> tuple[Row, ...]:
    """List the candidates whose names are written: all on the axes or, of many, those that were measured in full."""
    far = [row for row, _ in beyond(shown)]
    return tuple(row for row in shown if row not in far and (len(shown) <= _MANY or was_measured(row)))


def draw(figure: Figure, table: Sequence[Row]) -> None:
    """Draw the chart; at least one row must be drawable."""
    shown = drawable(table)
    axes = accuracy_latency.add_axes(figure)
    screening = shown[0].candidate.screening
    assert screening is not None
    better = "higher" if screening.higher_is_better else "lower"
    inline_svg.title_axes(axes, "p50 in ms (lower is better)", f"{screening.metric} ({better} is better)")
    far = [row for row, _ in beyond(shown)]
    near = [row for row in shown if row not in far]
    points = {row.candidate.name: _point(row) for row in near}
    beside = [_point(row).x for row in far]
    accuracy_latency.scale(axes, list(points.values()), beside=beside)
    labels = Labels(axes)
    labels.keep_free(points.values())
    mark(axes, beside, QUIET, screening.higher_is_better)
    for row in near:
        point = points[row.candidate.name]
        color = ACCENT if point.important else QUIET
        size = 10 if point.important else 7
        face = color if was_measured(row) else SURFACE
        axes.plot(point.x, point.y, "o", color=color, markerfacecolor=face, markersize=size, zorder=4)
    labels.name([points[row.candidate.name] for row in named(shown)])


def _higher_is_better(shown: Sequence[Row]) -> bool:
    return all(row.candidate.screening is None or row.candidate.screening.higher_is_better for row in shown)


def _point(row: Row) -> Point:
    figures, selected = _figures(row), row.candidate.status == "selected"
    assert figures is not None
    x, y = figures
    return Point(row.tag, x, y, (x, x, y, y), ACCENT if selected else INK, selected)


def _figures(row: Row) -> tuple[float, float] | None:
    """Return the latency in ms and the score; None if one is missing."""
    screening = row.candidate.screening
    if screening is None or screening.p50_ms is None or screening.score is None:
        return None
    return screening.p50_ms, screening.score
