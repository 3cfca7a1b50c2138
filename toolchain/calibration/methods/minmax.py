"""Min-max calibration: the range from the smallest to the largest observed value."""

from __future__ import annotations

from toolchain.calibration.histogram import Histogram
from toolchain.graphs.value_range import Range

NEEDS_DISTRIBUTION = False


def choose(histogram: Histogram) -> Range:
    """Choose the extremes."""
    return Range(histogram.low, histogram.high)
