"""Range of a chart's axis of scores: a score that collapsed is left out, since it would squeeze the others."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes

from hwbench.formats.sections.rows import Row, show
from hwbench.wording import count, some

_FAR = 5.0  # a score is far off if it is five times as far from the selected one as the next better score
# By higher_is_better: differences below this share of the score count as this share. Error metrics vary more.
_SLIGHT = {True: 0.03, False: 0.2}
_NAMED = 2  # candidates beyond the axis that a caption names


def reach(scores: Sequence[float], selected: float | None, higher_is_better: bool) -> float:
    """Find the worst score to show: the last one before a wide gap. At least half of the scores are shown.

    Args:
        scores: one score or more.
        selected: score of the selected candidate; the best score counts, if None.
        higher_is_better: direction of the metric.
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
    """Tell whether the axis shows a score."""
    return score >= worst if higher_is_better else score <= worst


def mark(axes: Axes, xs: Sequence[float], color: str, higher_is_better: bool) -> None:
    """Mark scores beyond the axis with triangles at its end."""
    bottom, top = axes.get_ylim()
    marker, end = ("v", bottom) if higher_is_better else ("^", top)
    axes.plot(xs, [end] * len(xs), marker, color=color, markersize=7, clip_on=False, zorder=4)


def describe_beyond(beyond: Sequence[tuple[Row, float]]) -> str:
    """Write the sentence about candidates beyond the axis; empty where there are none."""
    if not beyond:
        return ""
    names = some([f"{row.name} ({show('accuracy', score)})" for row, score in beyond], _NAMED)
    return f" Triangles mark {count(len(beyond), 'candidate')} beyond the axis: {names}."
