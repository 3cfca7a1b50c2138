"""Inference about a figure: an estimate with an interval, and the confidence that the figure is within a limit.

The confidence is 1 less the p-value of the one-sided test that the figure is beyond the limit: if it is just beyond,
samples give a confidence of P or more with a probability of at most 1 - P.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import stats

from hwbench.stats.intervals import CONFIDENCE, Estimate
from runtimes.tensors import Array

_RESAMPLES = 2_000  # Efron and Tibshirani (1993, An Introduction to the Bootstrap) ask for 1,000 or more
_MIN_EQUAL = 10  # ten continuous scores agree to the last bit only if the computations are the same
_SEED = 0  # the same samples always have the same interval


class Inference(Protocol):
    """Conclusions from samples about one figure."""

    def estimate(self) -> Estimate:
        """Estimate the figure with its interval, whose ends err with equal probabilities."""

    def at_most(self, limit: float) -> float:
        """Return the confidence that the figure is at most `limit`."""

    def at_least(self, limit: float) -> float:
        """Return the confidence that the figure is at least `limit`."""


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


class Mean:
    """A mean of scores on a continuous scale, by the bootstrap.

    The interval is bias-corrected and accelerated (Efron 1987), and no narrower than Student's: with ten samples or
    fewer a bootstrap covers the mean far too seldom (Hesterberg 2015, The American Statistician 69, 371-386). The
    confidences are the least of the two, likewise.
    """

    def __init__(self, scores: Sequence[float] | Array) -> None:
        """Check the scores.

        Raises:
            ValueError: there are no scores, one is not a finite number, or they are too few for an interval.
        """
        self._scores = _finite(scores)
        n = len(self._scores)
        if n < 2:
            raise ValueError("an interval takes at least 2 samples, and there is 1")
        self._is_constant = bool(np.ptp(self._scores) == 0)
        if self._is_constant and n < _MIN_EQUAL:
            raise ValueError(f"{n} equal scores show no spread; an interval takes {_MIN_EQUAL}")
        self._value = float(self._scores.mean())

    def estimate(self) -> Estimate:
        """Estimate the mean."""
        centre = self._value
        if self._is_constant:
            return Estimate(centre, centre, centre)
        low, high = map(float, self._bootstrap.confidence_interval)
        if not (math.isfinite(low) and math.isfinite(high)):  # scores that are all but equal leave BCa undefined
            low = high = centre
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(self._scores) - 1) * stats.sem(self._scores))
        return Estimate(centre, min(low, centre - half), max(high, centre + half))

    def at_most(self, limit: float) -> float:
        """Return the confidence that the mean is at most `limit`."""
        return self._confidence(limit, 1)

    def at_least(self, limit: float) -> float:
        """Return the confidence that the mean is at least `limit`."""
        return self._confidence(limit, -1)

    @functools.cached_property
    def _bootstrap(self) -> Any:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            return stats.bootstrap(
                (self._scores,),
                np.mean,
                n_resamples=_RESAMPLES,
                confidence_level=CONFIDENCE,
                rng=np.random.default_rng(_SEED),
                batch=64,  # BCa's jackknife would otherwise hold n squared numbers at once
            )

    def _confidence(self, limit: float, side: int) -> float:
        room = side * (limit - self._value)
        error = float(stats.sem(self._scores))
        if self._is_constant or error == 0:
            return float(room >= 0)
        student = float(stats.t.cdf(room / error, len(self._scores) - 1))
        return min(student, self._bca_confidence(limit, side))

    def _bca_confidence(self, limit: float, side: int) -> float:
        """Invert the bounds of BCa: find the level whose bound is the limit (Efron 1987, equation 6.5).

        Beyond all resamples, which are too few to tell, Student's confidence decides.
        """
        drawn = np.sort(self._bootstrap.bootstrap_distribution)
        below = (np.searchsorted(drawn, self._value) + np.searchsorted(drawn, self._value, "right")) / 2
        centred = (self._scores - self._value) / np.abs(self._scores - self._value).max()
        skewness = float((centred**3).sum() / (6 * (centred**2).sum() ** 1.5))  # the acceleration of a mean
        share = np.searchsorted(drawn, limit, "right" if side > 0 else "left")
        if share in (0, len(drawn)):
            return float((share > 0) == (side > 0))
        bias, at = (float(stats.norm.ppf((count + 0.5) / (len(drawn) + 1))) for count in (below, share))
        moved = at - bias
        level = float(stats.norm.cdf(moved / max(1 + skewness * moved, 1e-9) - bias))
        return level if side > 0 else 1 - level


@dataclass(frozen=True)
class Bootstrap:
    """A figure by the percentile bootstrap, from given replicates.

    Attributes:
        value: the figure of all samples.
        replicates: the figure of each resample.
        n: number of samples, if the figure is a share, from 0 to 1.
    """

    value: float
    replicates: Array
    n: int | None = None

    def estimate(self) -> Estimate:
        """Estimate the figure."""
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(self.replicates, [tail, 1 - tail])
        return Estimate(self.value, min(float(low), self.value), max(float(high), self.value))

    def at_most(self, limit: float) -> float:
        """Return the confidence that the figure is at most `limit`."""
        return self._confidence(limit, 1)

    def at_least(self, limit: float) -> float:
        """Return the confidence that the figure is at least `limit`."""
        return self._confidence(limit, -1)

    def _confidence(self, limit: float, side: int) -> float:
        """Return the least of the share of replicates within the limit and of that of a normal distribution."""
        room, spread = side * (limit - self.value), float(np.std(self.replicates))
        if spread == 0:
            return _unseen_change(room, self.n)
        within = int((side * (limit - self.replicates) >= 0).sum())
        return min(within / (len(self.replicates) + 1), float(stats.norm.cdf(_deviations(room, spread, self.n))))


@dataclass(frozen=True)
class Jackknife:
    """A figure by the delete-a-group jackknife (Kott, 2001, Journal of Official Statistics 17, 521-526).

    It takes as many calls of a metric as there are groups, where a bootstrap takes hundreds. The interval is Student's,
    with one degree of freedom less than there are groups.

    Attributes:
        value: the figure of all samples.
        replicates: the figure without each group.
        n: number of samples, if the figure is a share, from 0 to 1.
    """

    value: float
    replicates: Array
    n: int | None = None

    def estimate(self) -> Estimate:
        """Estimate the figure."""
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(self.replicates) - 1)) * self._error
        return Estimate(self.value, self.value - half, self.value + half)

    def at_most(self, limit: float) -> float:
        """Return the confidence that the figure is at most `limit`."""
        return self._confidence(limit - self.value)

    def at_least(self, limit: float) -> float:
        """Return the confidence that the figure is at least `limit`."""
        return self._confidence(self.value - limit)

    @property
    def _error(self) -> float:
        groups = len(self.replicates)
        return math.sqrt((groups - 1) / groups * float(((self.replicates - np.mean(self.replicates)) ** 2).sum()))

    def _confidence(self, room: float) -> float:
        if self._error == 0:
            return _unseen_change(room, self.n)
        return float(stats.t.cdf(_deviations(room, self._error, self.n), len(self.replicates) - 1))


def _deviations(room: float, error: float, n: int | None) -> float:
    """Divide the room up to a limit by the standard error, as if one more of `n` samples had moved a share by 1 / n.

    Where few samples move a share, their number is Poisson's, whose upper bound lies farther off than a normal
    distribution's; one more event makes up for most of that (as Agresti and Coull, 1998, do for a proportion).
    """
    one = 1 / n if n is not None else 0.0
    return (room - one) / math.hypot(error, one)


def _unseen_change(room: float, n: int | None) -> float:
    """Return the confidence that a figure moves by `room` at most, if none of `n` samples moved it.

    It takes a share of `room` of all samples to move a share by that much, if no sample weighs more than another, and
    `n` samples would hold one of these with this probability. Of a figure in other units, replicates that agree to the
    last bit are taken for the same computation.
    """
    if room < 0:
        return 0.0
    return 1.0 if n is None or room >= 1 else -math.expm1(n * math.log1p(-room))


def _finite(scores: Sequence[float] | Array) -> Array:
    values = np.asarray(scores, dtype=np.float64)
    if len(values) == 0 or not np.isfinite(values).all():
        raise ValueError("a score is not a finite number" if len(values) else "there are no scores")
    return values
