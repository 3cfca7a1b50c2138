"""The distribution of one tensor over the calibration samples, as a bundle carries it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Distribution:
    """The values of one tensor in calibration, as a histogram.

    Attributes:
        low, high: the smallest and the largest value.
        edges: inner bounds of the bins, rising; each bin holds about as many values, if the values allow it.
        shares: the fraction of the values in each bin, one more than there are edges; bin i ends at edges[i].
    """

    low: float
    high: float
    edges: tuple[float, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        bounds = (self.low, *self.edges, self.high)
        if not all(map(math.isfinite, bounds)) or any(a > b for a, b in itertools.pairwise(bounds)):
            raise ValueError("has bounds that are not rising, finite numbers")
        if len(self.shares) != len(self.edges) + 1 or not all(0 <= share <= 1 for share in self.shares):
            raise ValueError(
                f"has {len(self.shares)} shares for {len(self.edges)} edges; expected one more, each 0 to 1"
            )
