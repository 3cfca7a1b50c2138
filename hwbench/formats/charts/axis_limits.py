"""Which scores a chart's axis shows: those within reach of the chosen one; one that collapsed would squeeze them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes

from hwbench.formats.sections.rows import Row, show
from hwbench.wording import count, some

_FAR = 5.0  # times as much worse as the next better one
_SLIGHT = {True: 0.03, False: 0.2}  # of the score, by whether more is better: errors differ by more of themselves
_NAMED = 2


def reach(scores: Sequence[float], selected: float | None, higher_is_better: bool) -> float:
    """The worst score to show: before a gap that is wide beside what lies before it. Half of them are always shown.

    Args:
        scores: at least one.
        selected: the chosen one's; the best counts, if None.
        higher_is_better: of the metric.
    """
    best = max(scores) if higher_is_better else min(scores)
    anchor = best if selected is None else selected
    ordered = sorted(scores, reverse=higher_is_better)  # the best first
    for number, (shown, next_) in enumerate(itertools.pairwise(ordered), 1):
        slight = _SLIGHT[higher_is_better] * abs(anchor)
        is_far = abs(next_ - anchor) > _FAR * max(abs(shown - anchor), slight)
        if is_far and (next_ < anchor) == higher_is_better and 2 * number >= len(ordered):
            return shown
    return ordered[-1]


def is_within(score: float, worst: float, higher_is_better: bool) -> bool:
    """Whether the axis shows it."""
    return score >= worst if higher_is_better else score <= worst


def mark(axes: Axes, xs: Sequence[float], color: str, higher_is_better: bool) -> None:
    """Triangles at the axis's end, where a score lies beyond it."""
    bottom, top = axes.get_ylim()
    marker, end = ("v", bottom) if higher_is_better else ("^", top)
    axes.plot(xs, [end] * len(xs), marker, color=color, markersize=7, clip_on=False, zorder=4)


def told(beyond: Sequence[tuple[Row, float]]) -> str:
    """The sentence about those; empty where there are none."""
    if not beyond:
        return ""
    names = some([f"{row.name} ({show('accuracy', score)})" for row, score in beyond], _NAMED)
    return f" {count(len(beyond), 'candidate')} beyond the axis, by the triangles: {names}."
