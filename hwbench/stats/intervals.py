"""Estimates with confidence intervals, and those of quantiles."""

from __future__ import annotations

import bisect
import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from runtimes.tensors import Array

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value and its confidence interval, which holds the true value with probability `CONFIDENCE`."""

    value: float
    low: float
    high: float


def quantile_runs_needed(p: float) -> int:
    """Return the fewest samples whose order statistics bound the p-quantile, 0 < p < 1, on both sides."""
    tail = (1 - CONFIDENCE) / 2
    return math.ceil(math.log(tail) / math.log(max(p, 1 - p)))


def quantile(samples: Array, p: float) -> Estimate:
    """Estimate the p-quantile (nearest rank) with the exact, distribution-free interval of its order statistics.

    The number of samples below the true quantile is Binomial(n, p), whatever the distribution
    (David and Nagaraja, Order Statistics, 3rd ed., section 7.1).

    Raises:
        ValueError: there are fewer than `quantile_runs_needed(p)` samples.
    """
    n, tail = len(samples), (1 - CONFIDENCE) / 2
    if n < quantile_runs_needed(p):
        raise ValueError(f"p{100 * p:g} takes {quantile_runs_needed(p)} samples, and there are {n}")
    ordered = np.sort(samples)
    low = int(stats.binom.ppf(tail, n, p))
    high = int(stats.binom.ppf(1 - tail, n, p)) + 1
    rank = math.ceil(round(p * n, 6))  # 99.9 / 100 * 1000 is 999.0000000000001
    return Estimate(float(ordered[rank - 1]), float(ordered[max(low, 1) - 1]), float(ordered[min(high, n) - 1]))


def proportion(events: int, n: int) -> Estimate:
    """Estimate a probability from the number of events in n independent trials, with the exact interval of Clopper and
    Pearson (1934, The use of confidence or fiducial limits illustrated in the case of the binomial, Biometrika 26).

    Raises:
        ValueError: there were no trials.
    """
    if n < 1:
        raise ValueError("a probability takes at least one trial")
    interval = stats.binomtest(events, n).proportion_ci(CONFIDENCE, method="exact")
    return Estimate(events / n, float(interval.low), float(interval.high))


def early_stopping(samples: Array, p: float) -> float:
    """Bound the p-quantile by a value that it exceeds with probability 1% at most: MLPerf Inference's early stopping.

    As in LoadGen, t of n samples may lie beyond a bound if I(p; n - t, t + 1) <= 0.01, where I is the regularised
    incomplete beta function. The t - 1 largest samples are discarded, and the largest of the rest is the estimate.

    Raises:
        ValueError: there are too few samples to let one lie beyond the bound.
    """
    n = len(samples)
    allowed = bisect.bisect_right(range(1, n), 0.01, key=lambda beyond: special.betainc(n - beyond, beyond + 1, p))
    if allowed == 0:
        needed = early_stopping_runs_needed(p)
        raise ValueError(f"early stopping at p{100 * p:g} takes {needed:,} samples, and there are {n:,}")
    return float(np.sort(samples)[n - allowed])


def early_stopping_runs_needed(p: float) -> int:
    """Return the smallest number of samples that lets one of them lie beyond the bound."""
    return next(m for m in itertools.count(2) if special.betainc(m - 1, 2, p) <= 0.01)
