"""Medians of paired differences of many things at once, with exact intervals that hold for all of them together."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import stats

from hwbench.stats.intervals import CONFIDENCE, Estimate
from runtimes.tensors import Array


def paired_medians(differences: Array) -> list[Estimate]:
    """Estimate the median difference of each column.

    The interval is that of order statistics, which is exact whatever the distribution (David and Nagaraja, Order
    Statistics, 3rd ed., section 7.1). The columns share the probability of error (Bonferroni), so that all intervals
    together hold with probability `CONFIDENCE`.

    Args:
        differences: [rounds, columns].

    Returns:
        One estimate per column; its interval is infinite if there are too few rounds for one.
    """
    rounds, columns = differences.shape
    ordered, left_out = np.sort(differences, axis=0), _left_out(rounds, columns)
    if left_out < 0:
        return [Estimate(float(median), -np.inf, np.inf) for median in np.median(differences, axis=0)]
    ends = zip(np.median(differences, axis=0), ordered[left_out], ordered[rounds - 1 - left_out])
    return [Estimate(float(median), float(low), float(high)) for median, low, high in ends]


def rounds_needed(columns: int) -> int:
    """Return the number of rounds whose intervals leave out the extreme one on either side, as it may be an outlier."""
    return next(rounds for rounds in itertools.count(1) if _left_out(rounds, columns) >= 1)


def _left_out(rounds: int, columns: int) -> int:
    """Count the extreme rounds on each side that lie beyond the interval; -1 if even the extremes do not bound it."""
    return int(stats.binom.ppf((1 - CONFIDENCE) / 2 / max(columns, 1), rounds, 0.5)) - 1
