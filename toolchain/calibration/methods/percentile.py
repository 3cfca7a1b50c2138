"""Percentile calibration: the range without the rarest values on each side."""

from __future__ import annotations

import numpy as np

from toolchain.calibration.histogram import Histogram
from toolchain.graphs.value_range import Range

NEEDS_DISTRIBUTION = True

PERCENT = 99.99
"""Share of the values within the range; half of the others lie on each side. Source: H. Wu et al. (2020),
arXiv:2004.09602, where it did best."""


def choose(histogram: Histogram) -> Range:
    """Choose the smallest range of whole bins that holds `PERCENT` of the values, within the extremes."""
    tail = (100 - PERCENT) / 200 * histogram.counts.sum()
    below = np.cumsum(histogram.counts)
    above = np.cumsum(histogram.counts[::-1])[::-1]
    edges = histogram.edges
    low = edges[int(np.argmax(below > tail))]
    high = edges[len(above) - int(np.argmax(above[::-1] > tail))]
    return Range(max(float(low), histogram.low), min(float(high), histogram.high))
