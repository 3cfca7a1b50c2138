"""Bounds on a median that hold however often one looks, for a gate that stops as soon as it is sure.

Each block of measuring gives one figure, and a block's figure lies on either side of the median with equal
probability, whatever the distribution. A bettor who starts with 1 and bets on one side grows rich only if that is
false: by Ville's inequality, the wealth ever reaches 1 / alpha with probability alpha at most. The bet here is the
uniform mixture over all probabilities of that side beyond one half, whose wealth is a ratio of beta functions. Inverted
for the median, it is a confidence sequence made of order statistics (Howard and Ramdas, 2022, Sequential estimation of
quantiles with applications to A/B testing, Bernoulli 28, 1704-1728).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import special, stats

from runtimes.tensors import Array

ALPHA = 0.01
"""How often a verdict may be wrong at its limit, to each side."""
POWER = 0.95
"""How often the detectable shift is detected."""


def upper_bound(figures: Array, ceilings: Array, alpha: float = ALPHA) -> float:
    """What the median figure exceeds with probability `alpha` at most, at any time; infinite while too few tell.

    Args:
        figures: one for each block that counts.
        ceilings: for every block, what its figure would not have exceeded, had it counted; the figure itself, where
            it does.
        alpha: the error allowed.

    Two bettors share the stake: one sees the blocks that count, the other the ceilings of all. Disturbed blocks are
    slower than quiet ones, so a limit that holds even for them needs no quiet machine.
    """
    return _least(np.sort(figures), np.sort(ceilings), math.log(1 / alpha))


def lower_bound(figures: Array, floors: Array, alpha: float = ALPHA) -> float:
    """The same from below, by what each block's figure would at least have been."""
    return -upper_bound(-np.asarray(figures), -np.asarray(floors), alpha)


def detectable_shift(deviations: Array, n: int, alpha: float = ALPHA) -> float:
    """The smallest shift that `n` more figures would show with probability `POWER`.

    Args:
        deviations: of single figures from their median, such as those of runs of one thing against itself.
        n: how many figures there will be.
        alpha: the error allowed.

    Returns:
        The shift, in the deviations' unit; infinite where no shift would show.
    """
    share = _share_needed(n, math.log(1 / alpha))
    if share is None or len(deviations) == 0:
        return math.inf
    symmetric = np.concatenate([deviations, -np.asarray(deviations)])
    return max(float(np.quantile(symmetric, share)), 0.0)


def wealth(n: int | Array, wins: Array) -> Array:
    """The logarithm of what betting on one side is worth after `n` figures, of which `wins` lay there."""
    # Integral over p in [1/2, 1] of 2 p^wins (1 - p)^(n - wins) / 2^-n.
    a, b = wins + 1.0, n - wins + 1.0
    logs: Array = math.log(2) * (n + 1) + special.betaln(a, b) + np.log(np.maximum(special.betainc(b, a, 0.5), 1e-300))
    return logs


def _least(figures: Array, ceilings: Array, needed: float) -> float:
    """The smallest of the values at which the two bettors together are worth enough."""
    values = np.unique(np.concatenate([figures, ceilings]))
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return math.inf
    both = np.logaddexp(
        wealth(len(figures), np.searchsorted(figures, values, side="right")),
        wealth(len(ceilings), np.searchsorted(ceilings, values, side="right")),
    ) - math.log(2)
    enough = values[both >= needed]
    return float(enough[0]) if len(enough) else math.inf


@lru_cache(maxsize=4096)
def _wins_needed(n: int, needed: float) -> int | None:
    counts = np.arange(n + 1)
    enough = counts[wealth(n, counts) >= needed]
    return int(enough[0]) if len(enough) else None


@lru_cache(maxsize=4096)
def _share_needed(n: int, needed: float) -> float | None:
    """The probability of one side at which `POWER` of gates are sure of it: the Clopper-Pearson identity."""
    wins = _wins_needed(n, needed)
    return None if wins is None else float(stats.beta.ppf(POWER, wins, n - wins + 1))


@lru_cache(maxsize=64)
def blocks_needed(alpha: float = ALPHA) -> int:
    """The fewest figures, all on one side, that are sure."""
    return next(n for n in range(1, 1_000) if _wins_needed(n, math.log(1 / alpha)) is not None)


def relative_spread(values: Sequence[float]) -> float:
    """The relative standard deviation of values around their median, from their median absolute deviation."""
    centre = float(np.median(values))
    return 1.4826 * float(np.median(np.abs(np.asarray(values) - centre))) / centre
