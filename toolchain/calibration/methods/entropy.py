"""The range that keeps the most information: the least Kullback-Leibler divergence from the observed distribution.

Method: S. Migacz, 8-bit Inference with TensorRT (GTC 2017). Every candidate threshold clips the distribution of
magnitudes, spreads it over 128 levels, and is compared with the clipped original.
"""

from __future__ import annotations

import numpy as np
from scipy.special import rel_entr

from runtimes.tensors import Array
from toolchain.calibration.histogram import HALF_BINS, Histogram
from toolchain.calibration.table import Range

NEEDS_DISTRIBUTION = True

_LEVELS = 128
_STRIDE = 16  # bins between two candidate thresholds


def choose(distribution: Histogram) -> Range:
    """The threshold with the least divergence, on both sides of zero, never wider than the extremes."""
    magnitudes = distribution.counts[HALF_BINS:] + distribution.counts[:HALF_BINS][::-1]
    # Zeros are exact on every scale, and ReLU makes so many that spreading their bin would outweigh all else.
    magnitudes[0] = magnitudes[1]
    last = int(np.flatnonzero(magnitudes).max(initial=0)) + 1
    candidates = np.unique([*range(min(_LEVELS, last), last, _STRIDE), last])
    divergences = [_divergence(magnitudes[:last].astype(np.float64), int(stop)) for stop in candidates]
    threshold = float(candidates[int(np.argmin(divergences))]) * distribution.width
    return Range(max(-threshold, distribution.low), min(threshold, distribution.high))


def _divergence(magnitudes: Array, stop: int) -> float:
    reference = magnitudes[:stop].copy()
    reference[-1] += magnitudes[stop:].sum()  # what is clipped lands on the last level
    level = np.arange(stop) * _LEVELS // stop
    used = magnitudes[:stop] > 0
    totals = np.bincount(level, magnitudes[:stop], _LEVELS)
    holders = np.bincount(level, used, _LEVELS)
    spread = np.where(used, (totals / np.maximum(holders, 1))[level], 0.0)
    if not spread.any():
        return float("inf")
    p, q = reference / reference.sum(), spread / spread.sum()
    return float(rel_entr(p, np.maximum(q, 1e-12)).sum())
