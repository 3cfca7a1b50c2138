"""Mixed precision: the fewest layers to keep in float so that a low precision meets its accuracy budget.

Layers are ranked once, by the error that the precision in each alone does to its own output; then the shortest prefix
of that ranking that meets the budget is found by bisection, with log2(layers) evaluations. The fewer are kept, the
faster it is, so the shortest prefix is also the one most likely to meet a latency budget.
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
    """Keep the worst layers of a candidate in float until it meets the accuracy budget.

    Args:
        low: what misses it.
        ranking: the layers that it computes in its precision, the most sensitive first.
        attempt: makes a candidate and scores it.
        meets: whether an attempt meets the accuracy budget.

    Returns:
        Every attempt, in the order tried; all but the one with the fewest layers kept are dropped, with the reason.
        At most ceil(log2(layers)) of them.
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
    """The smallest number from 1 to `count` that holds, where 0 does not, `count` does, and more is never worse."""
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
        return f"with {_layers(kept)} in float it was not shown to meet the accuracy budget"
    return f"{_layers(fewest)} in float will do"


def _layers(count: int) -> str:
    return f"{count} layer{'s' if count != 1 else ''}"
