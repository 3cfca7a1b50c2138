"""Entropy calibration: the range with the least Kullback-Leibler divergence from the observed distribution.

Method: S. Migacz, 8-bit Inference with TensorRT (GTC 2017). Each candidate threshold clips the distribution of
magnitudes and spreads it over 128 levels; the result is compared with the clipped original.
"""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy

from runtimes.tensors import Array
from toolchain.calibration.histogram import HALF_BINS, Histogram
from toolchain.graphs.value_range import Range

NEEDS_DISTRIBUTION = True

_LEVELS = 128  # magnitudes that int8 represents
_STRIDE = 16  # bins between two candidate thresholds
_UNLIKELY = 1e-12  # probability of a value to which the levels give none


def choose(histogram: Histogram) -> Range:
    """Choose the threshold with the least divergence, for both sides of zero, within the extremes."""
    magnitudes = histogram.counts[HALF_BINS:] + histogram.counts[:HALF_BINS][::-1]
    # Zero is exact on every scale, and ReLU writes so many zeros that their bin would outweigh all others.
    magnitudes[0] = magnitudes[1]
    last = int(np.flatnonzero(magnitudes).max(initial=0)) + 1
    candidates = np.unique([*range(min(_LEVELS, last), last, _STRIDE), last])
    divergences = _divergences(magnitudes[:last].astype(np.float64), candidates)
    threshold = float(candidates[int(np.argmin(divergences))]) * histogram.width
    return Range(max(-threshold, histogram.low), min(threshold, histogram.high))


def _divergences(magnitudes: Array, stops: Array) -> Array:
    """Compute the divergence of the clipped original p from the levels q, per number of bins to keep: float64 [stops].

    Running sums give sum(p log p - p log q) for all stops at once, since q is the same for all bins of a level that are
    not empty.
    """
    total = magnitudes.sum()
    if not total:
        return np.full(len(stops), np.inf)
    kept = _running(magnitudes)[stops]
    clipped, at_the_end = total - kept, magnitudes[stops - 1]  # clipped values land in the last bin
    p_log_p = _running(xlogy(magnitudes, magnitudes))[stops - 1] + xlogy(at_the_end + clipped, at_the_end + clipped)
    firsts = -(-np.arange(_LEVELS + 1) * stops[:, None] // _LEVELS)  # the first bin of each level, and the stop
    counts, holders = (np.diff(_running(of)[firsts]) for of in (magnitudes, magnitudes > 0))
    q = counts / np.maximum(holders, 1) / np.maximum(kept, 1)[:, None]
    counts[:, -1] += np.where(at_the_end > 0, clipped, 0)
    p_log_q = xlogy(counts, np.maximum(q, _UNLIKELY)).sum(axis=1)
    p_log_q += np.where(at_the_end > 0, 0, clipped) * np.log(_UNLIKELY)
    divergences = (p_log_p - p_log_q) / total - np.log(total)
    return np.where(kept > 0, divergences, np.inf)


def _running(values: Array) -> Array:
    """Compute the sum of the values before each index, and of all values."""
    return np.concatenate([[0.0], np.cumsum(values)])
