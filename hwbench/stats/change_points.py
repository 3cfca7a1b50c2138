"""Change points: the runs of a series at which its level changed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import ruptures

_LEAST = 3  # runs on each side of a change


class Level(NamedTuple):
    """Runs from `start` to before `end` whose figures are of one level, and their median."""

    start: int
    end: int
    median: float


def levels(values: Sequence[float]) -> tuple[Level, ...]:
    """The levels of a series, oldest first; a single one where nothing changed, or `why_untold`.

    PELT (Killick, Fearnhead and Eckley, 2012) on logarithms, whose noise is estimated from the differences of
    neighbours, with three times BIC's penalty: a level that moves by less than its noise is no change.
    """
    bounds = [0, *_changes(values), len(values)]
    return tuple(Level(a, b, float(np.median(values[a:b]))) for a, b in itertools.pairwise(bounds))


def why_untold(values: Sequence[float]) -> str | None:
    """Why nothing can be said about changes of a series, in words; None where it can."""
    return "changes are relative, and there are values of zero or below" if min(values) <= 0 else None


def change(before: Level, after: Level) -> str:
    """How a level relates to the one before, in words."""
    ratio = after.median / before.median
    return f"{ratio - 1:+.1%}" if ratio < 2 else f"{ratio:.3g}x"


def _changes(values: Sequence[float]) -> tuple[int, ...]:
    """The index of the first value of each new level."""
    if len(values) < 2 * _LEAST or why_untold(values) is not None:
        return ()
    logs = np.log(np.asarray(values, dtype=np.float64))
    noise = 1.4826 * float(np.median(np.abs(np.diff(logs)))) / np.sqrt(2)
    scaled = logs / max(noise, 1e-3)  # a tenth of a percent is nothing, however steady the rest
    found = ruptures.Pelt(model="l2", min_size=_LEAST, jump=1).fit(scaled[:, None]).predict(pen=6 * np.log(len(values)))
    return tuple(int(index) for index in found[:-1])
