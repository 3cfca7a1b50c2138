"""Inference about a figure: an estimate with an interval, and the confidence that the figure is within a limit.

The confidence is 1 less the p-value of the one-sided test that the figure is beyond the limit: if it is just beyond,
samples give a confidence of P or more with a probability of at most 1 - P.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal, Protocol

from scipy import stats

from hwbench.stats.intervals import CONFIDENCE, Estimate

Side = Literal[1, -1]
"""1 for "at most", -1 for "at least"."""


class Inference(Protocol):
    """Conclusions from samples about one figure."""

    def estimate(self) -> Estimate:
        """Estimate the figure with its interval, whose ends err with equal probabilities."""

    def at_most(self, limit: float) -> float:
        """Return the confidence that the figure is at most `limit`."""

    def at_least(self, limit: float) -> float:
        """Return the confidence that the figure is at least `limit`."""


class Mirrored(Inference):
    """An inference whose two confidences are one formula, mirrored."""

    def at_most(self, limit: float) -> float:
        """Return the confidence that the figure is at most `limit`."""
        return self._confidence(limit, 1)

    def at_least(self, limit: float) -> float:
        """Return the confidence that the figure is at least `limit`."""
        return self._confidence(limit, -1)

    @abstractmethod
    def _confidence(self, limit: float, side: Side) -> float:
        """Return the confidence that the figure is on this side of `limit`, or at it."""


@dataclass(frozen=True)
class Known:
    """A figure that is known, not estimated."""

    value: float

    def estimate(self) -> Estimate:
        """Return the value, on both ends of its interval."""
        return Estimate(self.value, self.value, self.value)

    def at_most(self, limit: float) -> float:
        """Return 1 or 0."""
        return float(self.value <= limit)

    def at_least(self, limit: float) -> float:
        """Return 1 or 0."""
        return float(self.value >= limit)


@dataclass(frozen=True)
class Proportion:
    """A proportion: `successes` of `n`, with Wilson's interval and the exact binomial test."""

    successes: int
    n: int

    def estimate(self) -> Estimate:
        """Estimate the proportion with Wilson's interval."""
        interval = stats.binomtest(self.successes, self.n).proportion_ci(CONFIDENCE, method="wilson")
        return Estimate(self.successes / self.n, float(interval.low), float(interval.high))

    def at_most(self, limit: float) -> float:
        """Return the confidence that the proportion is at most `limit`."""
        return 1.0 if limit >= 1 else 1 - float(stats.binom.cdf(self.successes, self.n, max(limit, 0.0)))

    def at_least(self, limit: float) -> float:
        """Return the confidence that the proportion is at least `limit`."""
        return 1.0 if limit <= 0 else 1 - float(stats.binom.sf(self.successes - 1, self.n, min(limit, 1.0)))
