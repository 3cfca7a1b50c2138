"""Trends of a series: Mann and Kendall's test, with the slope of Theil and Sen (Sen, 1968, JASA 63, 1379-1389).

Neither asks how the noise is distributed, and a burst does not bend them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from runtimes.tensors import Array

_ALPHA = 0.001


@dataclass(frozen=True)
class Trend:
    """How a series moved from its start to its end.

    Attributes:
        change: relative to the start, by Theil and Sen's slope.
        p: Mann and Kendall's, two-sided.
    """

    change: float
    p: float

    @property
    def is_sure(self) -> bool:
        """Whether it is no chance."""
        return self.p < _ALPHA


def trend(values: Sequence[float] | Array) -> Trend:
    """The trend of at least two values."""
    series = np.asarray(values, dtype=np.float64)
    if np.ptp(series) == 0:
        return Trend(0.0, 1.0)
    slope, start, _, _ = stats.theilslopes(series)
    first = float(start) if start > 0 else float(np.median(series))
    p = float(stats.kendalltau(np.arange(len(series)), series).pvalue)
    return Trend(float(slope) * (len(series) - 1) / first, p)
