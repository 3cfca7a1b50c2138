"""Trends of a series: Mann and Kendall's test, with the slope of Theil and Sen (Sen, 1968, JASA 63, 1379-1389).

Neither assumes a distribution of the noise, and a burst of outliers does not bend them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from runtimes.tensors import Array

_ALPHA = 0.001  # strict, since every block of every measurement is tested


@dataclass(frozen=True)
class Trend:
    """The movement of a series from its start to its end.

    Attributes:
        change: relative to the start, by Theil and Sen's slope.
        p: p-value of Mann and Kendall's two-sided test.
    """

    change: float
    p: float

    @property
    def is_significant(self) -> bool:
        """True if the trend is significant."""
        return self.p < _ALPHA


def trend(values: Sequence[float] | Array) -> Trend:
    """Estimate the trend of two or more values."""
    series = np.asarray(values, dtype=np.float64)
    if np.ptp(series) == 0:
        return Trend(0.0, 1.0)
    slope, start, _, _ = stats.theilslopes(series)
    first = float(start) if start > 0 else float(np.median(series))
    p = float(stats.kendalltau(np.arange(len(series)), series).pvalue)
    return Trend(float(slope) * (len(series) - 1) / first, p)
