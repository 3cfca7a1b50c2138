"""Inference about a mean of scores on a continuous scale."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from hwbench.stats.inference import Mirrored, Side
from hwbench.stats.intervals import CONFIDENCE, Estimate
from runtimes.tensors import Array

_RESAMPLES = 2_000  # Efron and Tibshirani (1993, An Introduction to the Bootstrap) ask for 1,000 or more
_MIN_EQUAL = 10  # ten continuous scores agree to the last bit only if the computations are the same
_SEED = 0  # the same samples always have the same interval


class Mean(Mirrored):
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

    def _confidence(self, limit: float, side: Side) -> float:
        room = side * (limit - self._value)
        error = float(stats.sem(self._scores))
        if self._is_constant or error == 0:
            return float(room >= 0)
        student = float(stats.t.cdf(room / error, len(self._scores) - 1))
        return min(student, self._bca_confidence(limit, side))

    def _bca_confidence(self, limit: float, side: Side) -> float:
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


def _finite(scores: Sequence[float] | Array) -> Array:
    values = np.asarray(scores, dtype=np.float64)
    if len(values) == 0 or not np.isfinite(values).all():
        raise ValueError("a score is not a finite number" if len(values) else "there are no scores")
    return values
