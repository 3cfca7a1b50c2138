"""Mean squared error calibration: the range with the least quantization error over the observed distribution."""

from __future__ import annotations

import numpy as np

from runtimes.tensors import Array
from toolchain.calibration.histogram import Histogram
from toolchain.graphs.value_range import Range

NEEDS_DISTRIBUTION = True

_LEVELS = 255  # steps between the ends of an 8-bit range
_SHRINKS = np.linspace(1.0, 0.1, 91)  # factors of the range that are tried, one percent apart


def choose(histogram: Histogram) -> Range:
    """Shrink each side in turn, from the extremes, to the least error; twice, since the sides interact.

    Every range that is tried includes zero, which integers represent. The result stays within the extremes.
    """
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    used = histogram.counts > 0
    values, weights = histogram.centres[used], histogram.counts[used].astype(np.float64)
    best_low, best_high = low, high
    for _ in range(2 if low and high else 1):
        best_high = high * _best(values, weights, best_low, high * _SHRINKS) if high else 0.0
        best_low = low * _best(values, weights, low * _SHRINKS, best_high) if low else 0.0
    # If all values have one sign, the clip keeps the side next to zero at the nearest of them.
    return Range(*np.clip([best_low, best_high], histogram.low, histogram.high).tolist())


def _best(values: Array, weights: Array, lows: Array | float, highs: Array | float) -> float:
    """Find the shrink factor with the least error; one end is the same for all factors."""
    steps = np.maximum((highs - lows) / _LEVELS, np.finfo(np.float64).tiny)[:, None]
    # The operations work in place: allocating a table of this size costs more time than the arithmetic.
    errors = values * (1 / steps)
    np.clip(errors, np.reshape(lows, (-1, 1)) / steps, np.reshape(highs, (-1, 1)) / steps, out=errors)
    np.rint(errors, out=errors)
    errors *= steps
    errors -= values
    errors *= errors
    return float(_SHRINKS[int(np.argmin(errors @ weights))])
