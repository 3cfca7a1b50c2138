"""Bounds on a median that hold at any number of looks, for a gate that stops as soon as its verdict is certain.

Each measured block gives one figure, which lies on either side of the median with equal probability, whatever the
distribution. A bettor who starts with 1 and bets on one side grows rich only if that is false: by Ville's inequality,
the wealth ever reaches 1 / alpha with probability alpha at most. The bet here is the uniform mixture over all
probabilities of that side beyond one half, whose wealth is a ratio of beta functions. Inverted for the median, it is a
confidence sequence made of order statistics (Howard and Ramdas, 2022, Sequential estimation of quantiles with
applications to A/B testing, Bernoulli 28, 1704-1728).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import special, stats

from runtimes.tensors import Array

ALPHA = 0.01
"""Probability of a wrong verdict at the limit, to each side."""
POWER = 0.95
"""Probability that the detectable shift is detected."""


def upper_bound(figures: Array, highest: Array, alpha: float = ALPHA) -> float:
    """Bound the median figure from above, so that it exceeds the bound with probability `alpha` at most, at any time.

    Two bettors share the stake: one sees the undisturbed blocks, the other the highest figures of all. Disturbed
    blocks are slower than undisturbed ones, so a limit that holds even for them needs no quiet machine.

    Args:
        figures: one for each undisturbed block.
        highest: for every block, the highest figure that it could have had without interference; for an undisturbed
            block, its figure.
        alpha: the probability of error.

    Returns:
        The bound; infinite if there are too few figures.
    """
    return _least(np.sort(figures), np.sort(highest), math.log(1 / alpha))


def lower_bound(figures: Array, lowest: Array, alpha: float = ALPHA) -> float:
    """Bound the median figure from below, by the lowest figure that each block could have had; see `upper_bound`."""
    return -upper_bound(-np.asarray(figures), -np.asarray(lowest), alpha)


def detectable_shift(deviations: Array, n: int, alpha: float = ALPHA) -> float:
    """Estimate the smallest shift that `n` more figures would show with probability `POWER`.

    Args:
        deviations: single figures' deviations from their median, such as those of runs of one model against itself.
        n: number of figures to come.
        alpha: the probability of error.

    Returns:
        The shift, in the deviations' unit; infinite if no shift would show.
    """
    share = _share_needed(n, math.log(1 / alpha))
    if share is None or len(deviations) == 0:
        return math.inf
    symmetric = np.concatenate([deviations, -np.asarray(deviations)])
    return max(float(np.quantile(symmetric, share)), 0.0)


def wealth(n: int | Array, wins: Array) -> Array:
    """Return the logarithm of the wealth of a bet on one side after `n` figures, if `wins` of them lay on that side."""
    # Integral over p in [1/2, 1] of 2 p^wins (1 - p)^(n - wins) / 2^-n.
    a, b = wins + 1.0, n - wins + 1.0
    # 1e-300 keeps the logarithm finite where the integral underflows.
    logs: Array = math.log(2) * (n + 1) + special.betaln(a, b) + np.log(np.maximum(special.betainc(b, a, 0.5), 1e-300))
    return logs


def _least(figures: Array, highest: Array, needed: float) -> float:
    """Find the smallest value at which the two bettors together own enough."""
    values = np.unique(np.concatenate([figures, highest]))
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return math.inf
    both = np.logaddexp(
        wealth(len(figures), np.searchsorted(figures, values, side="right")),
        wealth(len(highest), np.searchsorted(highest, values, side="right")),
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
    """Find the probability of one side at which `POWER` of gates are certain of it, by the Clopper-Pearson identity."""
    wins = _wins_needed(n, needed)
    return None if wins is None else float(stats.beta.ppf(POWER, wins, n - wins + 1))


@lru_cache(maxsize=64)
def blocks_needed(alpha: float = ALPHA) -> int:
    """Return the fewest figures, all on one side, that make a verdict certain."""
    return next(n for n in range(1, 1_000) if _wins_needed(n, math.log(1 / alpha)) is not None)


def relative_spread(values: Sequence[float]) -> float:
    """Estimate the relative standard deviation of values around their median, from their median absolute deviation."""
    centre = float(np.median(values))
    # 1.4826 times the median absolute deviation is the standard deviation, if the values are normal.
    return 1.4826 * float(np.median(np.abs(np.asarray(values) - centre))) / centre
