"""Drift: the difference between the values of a session's tensors and their values in calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runtimes.bundles.distribution import Distribution
from runtimes.tensors import Array, Feeds

_ELEMENTS = 2048  # about as many values of one tensor are counted in one call, evenly spaced
LEAST_CALLS = 100
"""Number of calls before an index is given: with ten bins, chance alone then gives about 0.09."""
_LEAST_SHARE = 1e-4  # an empty bin would make the index infinite


@dataclass(frozen=True)
class TensorDrift:
    """The drift of one tensor.

    Attributes:
        calls: number of calls whose values were counted.
        values: number of values that were counted.
        saturated: the fraction of these values outside calibration's extremes, which int8 clips; NaN counts.
        psi: population stability index, the sum over bins of (p - q) ln(p / q). Below 0.1 is commonly read as
            stable, above 0.25 as another population (Siddiqi, Credit Risk Scorecards, 2006). None before `LEAST_CALLS`,
            since the values of one call are alike, so that the index of a few calls is always large.
    """

    tensor: str
    calls: int
    values: int
    saturated: float
    psi: float | None


class DriftMonitor:
    """Counter of the values of sampled calls in calibration's bins."""

    def __init__(self, references: Mapping[str, Distribution]) -> None:
        self._references = references
        self._bounds = {
            name: np.array([reference.low, *reference.edges, np.nextafter(reference.high, math.inf)])
            for name, reference in references.items()
        }
        self._counts = {name: np.zeros(len(bounds) + 1, np.int64) for name, bounds in self._bounds.items()}
        self._calls = 0

    def observe(self, feeds: Feeds, outputs: Feeds) -> None:
        """Count some values of one call's tensors."""
        self._calls += 1
        for name, bounds in self._bounds.items():
            array = feeds.get(name, outputs.get(name))
            if array is not None and array.dtype.kind in "biuf":
                bins = np.searchsorted(bounds, _spaced_values(array), side="right")  # NaN sorts last
                self._counts[name] += np.bincount(bins, minlength=len(bounds) + 1)

    def drift(self) -> tuple[TensorDrift, ...]:
        """Return the drift of each tensor whose values were counted."""
        seen = {name: counts for name, counts in self._counts.items() if counts.any()}
        return tuple(_drift(name, self._references[name], counts, self._calls) for name, counts in seen.items())


def _spaced_values(array: Array) -> Array:
    # The step is odd, so that it does not pick one column of an array whose sizes are powers of two.
    step = 2 * (array.size // (2 * _ELEMENTS)) + 1
    return array.reshape(-1)[::step].astype(np.float64)


def stability_index(shares: Array, reference: Array) -> Array:
    """Compute the population stability index of shares of bins, the last axis, against those of a reference.

    See `TensorDrift.psi` for its formula. An empty bin counts as one of 1e-4.
    """
    p, q = np.maximum(shares, _LEAST_SHARE), np.maximum(reference, _LEAST_SHARE)
    return np.asarray(np.sum((p - q) * np.log(p / q), axis=-1))


def _drift(name: str, reference: Distribution, counts: Array, calls: int) -> TensorDrift:
    total = int(counts.sum())
    inside = counts[1:-1].copy()
    inside[0] += counts[0]
    inside[-1] += counts[-1]
    index = stability_index(inside / total, np.array(reference.shares))
    return TensorDrift(
        tensor=name,
        calls=calls,
        values=total,
        saturated=float(counts[0] + counts[-1]) / total,
        psi=float(index) if calls >= LEAST_CALLS else None,
    )
