"""Mixed precision: find the fewest layers to keep in float32 so that a low precision meets its accuracy budget.

Layers are ranked once, by the error that the precision in one layer alone adds to its output. Bisection then finds the
shortest prefix of that ranking that meets the budget, with log2(layers) evaluations. A candidate with fewer kept layers
is faster, so the shortest prefix is also the most likely to meet a latency budget.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from toolchain.candidates.candidate import Candidate
from toolchain.search.trials import Trial

Try = Callable[[Candidate], Trial]


def recover(
    low: Candidate, ranking: tuple[str, ...], attempt: Try, meets: Callable[[Trial], bool]
) -> tuple[Trial, ...]:
    """Keep the most sensitive layers of a candidate in float32 until it meets the accuracy budget.

    Args:
        low: the candidate that misses it.
        ranking: the layers that it computes in its low precision, the most sensitive first.
        attempt: makes a candidate and scores it.
        meets: tells whether a trial meets the accuracy budget.

    Returns:
        Every trial, in the order tried, at most ceil(log2(layers)); all but the one with the fewest kept layers are
        rejected, with the reason.
    """
    tried: dict[int, Trial] = {}

    def holds(kept: int) -> bool:
        recipe = dataclasses.replace(low.recipe, keep=tuple(sorted({*low.recipe.keep, *ranking[:kept]})))
        tried[kept] = attempt(dataclasses.replace(low, recipe=recipe))
        return tried[kept].failure is None and meets(tried[kept])

    found = smallest(len(ranking), holds)
    fewest = len({*low.recipe.keep, *ranking[:found]})
    return tuple(
        one if kept == found or one.failure else dataclasses.replace(one, rejected=_why(one, fewest))
        for kept, one in tried.items()
    )


def smallest(count: int, holds: Callable[[int], bool]) -> int:
    """Find the smallest number from 1 to `count` that holds, if 0 does not, `count` does, and more is never worse."""
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high


def _why(trial: Trial, fewest: int) -> str:
    kept = len(trial.candidate.recipe.keep)
    if kept < fewest:
        return f"with {_layers(kept)} in float32 it was not shown to meet the accuracy budget"
    return f"{_layers(fewest)} in float32 are enough to meet the accuracy budget"


def _layers(count: int) -> str:
    return f"{count} layer{'s' if count != 1 else ''}"
