"""Histograms that grow with their data, exactly.

Bins are a power of two wide and aligned to zero, so two neighbours can be merged into one without moving an edge:
the result is the same as if the final width had been known from the start, whatever the order of the samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec
from toolchain.calibration.observe import observe
from toolchain.calibration.table import CalibrationTable, Range

HALF_BINS = 2048  # on each side of zero; at least half of one side is used, so a level of int8 spans 4 bins or more
MIN_ELEMENTS = 2048  # below, a tail or a divergence is an estimate of nothing

_SMALLEST_EXPONENT = -149  # of float32's subnormals


@dataclass(frozen=True)
class Histogram:
    """The distribution of one tensor.

    Attributes:
        counts: int64 [2 * HALF_BINS], from the most negative bin on.
        width: of one bin; a power of two.
        low, high: the exact extremes.
    """

    counts: Array
    width: float
    low: float
    high: float

    @property
    def edges(self) -> Array:
        """Where the bins begin and end: float64 [2 * HALF_BINS + 1]."""
        return np.arange(-HALF_BINS, HALF_BINS + 1) * self.width

    @property
    def centres(self) -> Array:
        """The middle of each bin."""
        return (np.arange(-HALF_BINS, HALF_BINS) + 0.5) * self.width


def calibrate(
    method: str,
    choose: Callable[[Histogram], Range],
    model: ir.Model,
    tensors: Sequence[str],
    specs: Sequence[TensorSpec],
    arrays: Mapping[str, Array],
    infinities: bool = False,
) -> CalibrationTable:
    """Observe tensors, and let `choose` pick each one's range from its histogram.

    Raises:
        UsageError: there are too few samples to fill a histogram; says how many elements came and how many it takes.
    """
    growing = [_Growing() for _ in tensors]
    n = 0
    for observation in observe(model, tensors, specs, arrays, elements=True, infinities=infinities):
        n += 1
        for i, histogram in enumerate(growing):
            if observation.low[i] <= observation.high[i]:
                histogram.add(observation.elements[i], observation.low[i], observation.high[i])
    ranges = {}
    for name, histogram in zip(tensors, growing):
        total = int(histogram.counts.sum())
        if total == 0:
            continue  # never computed
        if total < MIN_ELEMENTS:
            raise UsageError(
                f"Method {method} takes {MIN_ELEMENTS:,} values of a tensor, and {n} samples gave {total:,} of "
                f"'{name}'; add samples, or use minmax."
            )
        ranges[name] = choose(histogram.finish())
    return CalibrationTable(method, n, ranges)


class _Growing:
    """A histogram that takes values one sample at a time."""

    def __init__(self) -> None:
        self.counts = np.zeros(2 * HALF_BINS, np.int64)
        self.exponent = _SMALLEST_EXPONENT
        self.low, self.high = math.inf, -math.inf

    def add(self, values: Array, low: float, high: float) -> None:
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._grow(max(-self.low, self.high))
        bins = np.floor(np.ldexp(values.ravel().astype(np.float64), -self.exponent)).astype(np.int64) + HALF_BINS
        self.counts += np.bincount(bins, minlength=2 * HALF_BINS)

    def finish(self) -> Histogram:
        return Histogram(self.counts, math.ldexp(1.0, self.exponent), self.low, self.high)

    def _grow(self, largest: float) -> None:
        """Merge bins until `largest` falls into one."""
        _, exponent = math.frexp(largest)  # largest < 2 ** exponent
        needed = max(exponent - int(math.log2(HALF_BINS)), _SMALLEST_EXPONENT)
        if needed > self.exponent:
            if self.counts.any():
                self._merge(needed - self.exponent)
            self.exponent = needed

    def _merge(self, doublings: int) -> None:
        positions = (np.arange(2 * HALF_BINS) - HALF_BINS) >> min(doublings, 62)
        self.counts = np.bincount(positions + HALF_BINS, self.counts, 2 * HALF_BINS).astype(np.int64)
