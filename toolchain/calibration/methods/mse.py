"""The range whose quantization loses the least, by mean squared error over the observed distribution."""

from __future__ import annotations

import numpy as np

from runtimes.tensors import Array
from toolchain.calibration.histogram import Histogram
from toolchain.calibration.table import Range

NEEDS_DISTRIBUTION = True

_LEVELS = 255
_SHRINKS = np.linspace(1.0, 0.1, 91)


def choose(distribution: Histogram) -> Range:
    """Shrink each side in turn, from the extremes, to where the error is least; twice, as the sides interact.

    Zero is in every range that is tried, as integers have it. What is chosen stays within the extremes.
    """
    low, high = min(distribution.low, 0.0), max(distribution.high, 0.0)
    used = distribution.counts > 0
    values, weights = distribution.centres[used], distribution.counts[used]
    best_low, best_high = low, high
    for _ in range(2):
        best_high = high * _best(values, weights, np.full(len(_SHRINKS), best_low), high * _SHRINKS)
        best_low = low * _best(values, weights, low * _SHRINKS, np.full(len(_SHRINKS), best_high))
    # A side that shrank past values that all have one sign leaves the nearest of them.
    return Range(*np.clip([best_low, best_high], distribution.low, distribution.high).tolist())


def _best(values: Array, weights: Array, lows: Array, highs: Array) -> float:
    """The shrink whose range has the least error."""
    steps = np.maximum((highs - lows) / _LEVELS, np.finfo(np.float64).tiny)[:, None]
    clipped = np.clip(values, lows[:, None], highs[:, None])
    restored = np.rint(clipped / steps) * steps
    errors = ((restored - values) ** 2 * weights).sum(axis=1)
    return float(_SHRINKS[int(np.argmin(errors))])
