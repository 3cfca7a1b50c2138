"""The smallest and the largest value that each tensor took."""

from __future__ import annotations

from toolchain.calibration.histogram import Histogram
from toolchain.graphs.value_range import Range

NEEDS_DISTRIBUTION = False


def choose(distribution: Histogram) -> Range:
    """The extremes."""
    return Range(distribution.low, distribution.high)
