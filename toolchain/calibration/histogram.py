"""Histograms whose bins widen with the data, without error.

Bins are a power of two wide and aligned to zero, so two neighbours merge into one without moving an edge. The result is
the same as with the final width from the start, whatever the order of the samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runtimes.tensors import Array

HALF_BINS = 2048  # on each side of zero; data fill at least half of one side, so an int8 level spans 4 bins or more

_SMALLEST_EXPONENT = -126  # float32's smallest normal number
_NOTHING: Array = np.zeros(0)


@dataclass(frozen=True)
class Histogram:
    """The distribution of one tensor.

    Attributes:
        counts: int64 [2 * HALF_BINS], from the most negative bin on; all zero if only the extremes were observed.
        width: the width of one bin, a power of two.
        low, high: the exact extremes.
    """

    counts: Array
    width: float
    low: float
    high: float

    @property
    def edges(self) -> Array:
        """Edges of the bins: float64 [2 * HALF_BINS + 1]."""
        return np.arange(-HALF_BINS, HALF_BINS + 1) * self.width

    @property
    def centres(self) -> Array:
        """Centres of the bins: float64 [2 * HALF_BINS]."""
        return (np.arange(-HALF_BINS, HALF_BINS) + 0.5) * self.width


class Histograms:
    """Histograms of several tensors, filled one sample at a time."""

    def __init__(self, tensors: int) -> None:
        self._low, self._high = np.full(tensors, np.inf), np.full(tensors, -np.inf)
        self._exponents = np.full(tensors, _SMALLEST_EXPONENT)
        self._counts = np.zeros((tensors, 2 * HALF_BINS), np.int64)
        self._sizes: Sequence[int] = ()  # the sizes that _scales and _firsts belong to
        self._scales, self._firsts = _NOTHING, _NOTHING  # per element: bins per unit, and its tensor's bin of zero

    def add(self, low: Array, high: Array, elements: Array, sizes: Sequence[int]) -> None:
        """Add one sample.

        Args:
            low: the minimum of each tensor, float64 [tensors].
            high: the maximum; below `low` for an empty tensor.
            elements: some of each tensor's values, tensor after tensor, within its extremes; empty to add only the
                extremes.
            sizes: the number of elements of each tensor.
        """
        filled = low <= high
        self._low = np.where(filled, np.minimum(self._low, low), self._low)
        self._high = np.where(filled, np.maximum(self._high, high), self._high)
        if not elements.size:
            return
        if self._grow() or not np.array_equal(sizes, self._sizes):
            self._sizes = sizes
            exact = (
                np.float32 if (self._exponents <= 0).all() else np.float64
            )  # with these scales no product is subnormal
            self._scales = np.repeat(np.ldexp(exact(1), -self._exponents), sizes)
            self._firsts = np.repeat(np.arange(len(sizes)) * (2 * HALF_BINS) + HALF_BINS, sizes)
        # One call for all tensors: each has few values per sample, so NumPy's overhead per call would dominate.
        scaled = elements * self._scales
        bins = np.floor(scaled, out=scaled).astype(np.int64)
        bins += self._firsts
        np.add.at(self._counts.reshape(-1), bins, 1)

    def finish(self) -> list[Histogram]:
        """Return one histogram per tensor."""
        widths = np.ldexp(1.0, self._exponents)
        return [
            Histogram(*found) for found in zip(self._counts, widths.tolist(), self._low.tolist(), self._high.tolist())
        ]

    def _grow(self) -> bool:
        """Merge bins until each tensor's largest magnitude falls into one, and tell whether any were merged."""
        largest = np.maximum(np.maximum(-self._low, self._high), 0)
        _, exponents = np.frexp(largest)  # largest < 2 ** exponent
        fitting = np.where(largest > 0, exponents - int(math.log2(HALF_BINS)), _SMALLEST_EXPONENT)
        needed = np.maximum(fitting, _SMALLEST_EXPONENT)
        if not (needed > self._exponents).any():
            return False
        for i in np.flatnonzero(needed > self._exponents):
            if self._counts[i].any():
                self._counts[i] = _merged(self._counts[i], int(needed[i] - self._exponents[i]))
            self._exponents[i] = needed[i]
        return True


def _merged(counts: Array, doublings: int) -> Array:
    positions = (np.arange(2 * HALF_BINS) - HALF_BINS) >> min(doublings, 62)
    return np.bincount(positions + HALF_BINS, counts, 2 * HALF_BINS).astype(np.int64)
