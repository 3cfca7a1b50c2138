"""Estimates with confidence intervals: quantiles, proportions, means, and paired differences."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from runtimes.tensors import Array

CONFIDENCE = 0.95
_RESAMPLES = 2_000  # Efron and Tibshirani (1993, An Introduction to the Bootstrap) ask for 1,000 or more
_MIN_EQUAL = 10  # ten continuous scores agree to the last bit only if the computations are the same
_SEED = 0  # the same samples always have the same interval


@dataclass(frozen=True)
class Estimate:
    """A value and its confidence interval, which holds the true value with probability `CONFIDENCE`."""

    value: float
    low: float
    high: float


def quantile_runs_needed(p: float) -> int:
    """Return the fewest samples whose order statistics bound the p-quantile, 0 < p < 1, on both sides."""
    tail = (1 - CONFIDENCE) / 2
    return math.ceil(math.log(tail) / math.log(max(p, 1 - p)))


def quantile(samples: Array, p: float) -> Estimate:
    """Estimate the p-quantile (nearest rank) with the exact, distribution-free interval of its order statistics.

    The number of samples below the true quantile is Binomial(n, p), whatever the distribution
    (David and Nagaraja, Order Statistics, 3rd ed., section 7.1).

    Raises:
        ValueError: there are fewer than `quantile_runs_needed(p)` samples.
    """
    n, tail = len(samples), (1 - CONFIDENCE) / 2
    if n < quantile_runs_needed(p):
        raise ValueError(f"p{100 * p:g} takes {quantile_runs_needed(p)} samples, and there are {n}")
    ordered = np.sort(samples)
    low = int(stats.binom.ppf(tail, n, p))
    high = int(stats.binom.ppf(1 - tail, n, p)) + 1
    rank = math.ceil(round(p * n, 6))  # 99.9 / 100 * 1000 is 999.0000000000001
    return Estimate(float(ordered[rank - 1]), float(ordered[max(low, 1) - 1]), float(ordered[min(high, n) - 1]))


def early_stopping(samples: Array, p: float) -> float:
    """Bound the p-quantile by a value that it exceeds with probability 1% at most: MLPerf Inference's early stopping.

    As in LoadGen, t of n samples may lie beyond a bound if I(p; n - t, t + 1) <= 0.01, where I is the regularised
    incomplete beta function. The t - 1 largest samples are discarded, and the largest of the rest is the estimate.

    Raises:
        ValueError: there are too few samples to let one lie beyond the bound.
    """
    n = len(samples)
    allowed = bisect.bisect_right(range(1, n), 0.01, key=lambda beyond: special.betainc(n - beyond, beyond + 1, p))
    if allowed == 0:
        needed = early_stopping_runs_needed(p)
        raise ValueError(f"early stopping at p{100 * p:g} takes {needed} samples, and there are {n}")
    return float(np.sort(samples)[n - allowed])


def early_stopping_runs_needed(p: float) -> int:
    """Return the smallest number of samples that lets one of them lie beyond the bound."""
    return next(m for m in itertools.count(2) if special.betainc(m - 1, 2, p) <= 0.01)


def mean(scores: Sequence[float], *, proportion: bool = False) -> Estimate:
    """Estimate a mean of per-sample scores: by Wilson's interval for a proportion (scores of 0 and 1), else by the BCa
    bootstrap.

    Raises:
        ValueError: there are no scores, one is not a finite number, or the bootstrap has one sample.
    """
    values = _finite(scores)
    if proportion:
        interval = stats.binomtest(int(values.sum()), len(values)).proportion_ci(CONFIDENCE, method="wilson")
        return Estimate(float(values.mean()), float(interval.low), float(interval.high))
    return _bootstrapped_mean(values)


def paired_difference(first: Sequence[float], second: Sequence[float], *, proportion: bool = False) -> Estimate:
    """Estimate mean(first) - mean(second) over the same samples.

    The interval is Tango's score interval for proportions (it stays honest if no pair disagrees, where a bootstrap
    would claim certainty), else the BCa bootstrap of the differences.

    Raises:
        ValueError: there are no scores, one is not a finite number, the bootstrap has one sample, or the numbers of
            scores differ.
    """
    a, b = _finite(first), _finite(second)
    if len(a) != len(b):
        raise ValueError(f"{len(a)} scores cannot be paired with {len(b)}")
    if proportion:
        return _tango(int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum()), len(a))
    return _bootstrapped_mean(a - b)


def percentile_of_replicates(value: float, replicates: Array) -> Estimate:
    """Estimate by the percentile bootstrap's interval, from given replicates."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return Estimate(value, min(float(low), value), max(float(high), value))


def _finite(scores: Sequence[float]) -> Array:
    values = np.asarray(scores, dtype=np.float64)
    if len(values) == 0 or not np.isfinite(values).all():
        raise ValueError("a score is not a finite number" if len(values) else "there are no scores")
    return values


def _bootstrapped_mean(values: Array) -> Estimate:
    """Estimate a mean by the bootstrap.

    The interval is bias-corrected and accelerated (Efron 1987), and no narrower than Student's: with ten samples or
    fewer a bootstrap covers the mean far too seldom (Hesterberg 2015, The American Statistician 69, 371-386).
    """
    centre = float(values.mean())
    if len(values) < 2:
        raise ValueError("an interval takes at least 2 samples, and there is 1")
    if np.ptp(values) == 0:
        if len(values) < _MIN_EQUAL:
            raise ValueError(f"{len(values)} equal scores show no spread; an interval takes {_MIN_EQUAL}")
        return Estimate(centre, centre, centre)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (values,),
            np.mean,
            n_resamples=_RESAMPLES,
            confidence_level=CONFIDENCE,
            rng=np.random.default_rng(_SEED),
            batch=64,  # BCa's jackknife would otherwise hold n squared numbers at once
        )
    low, high = map(float, result.confidence_interval)
    if not (math.isfinite(low) and math.isfinite(high)):  # scores that are all but equal leave BCa undefined
        low = high = centre
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values))
    return Estimate(centre, min(low, centre - half), max(high, centre + half))


def reach_without_disagreement(n: int) -> float:
    """Return the reach of Tango's interval to each side if no pair of `n` differs: z^2 / (n + z^2)."""
    square = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) ** 2
    return square / (n + square)


def _tango(b: int, c: int, n: int) -> Estimate:
    """Estimate (b - c) / n, where b and c count the two kinds of discordant pairs among n, by Tango's score interval
    (1998, Statistics in Medicine 17, 891-908).
    """
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))

    def score(delta: float) -> float:
        # The constrained maximum-likelihood estimate of the c-kind's probability, Tango's equation (5).
        quadratic = -b - c + (2 * n - b + c) * delta
        root = math.sqrt(max(quadratic**2 + 8 * n * c * delta * (1 - delta), 0.0))
        q = (root - quadratic) / (4 * n)
        variance = n * (2 * q + delta * (1 - delta))
        return (b - c - n * delta) / math.sqrt(variance) if variance > 0 else 0.0

    difference = (b - c) / n
    edge = 1 - 1e-9
    low = -1.0 if score(-edge) < z else float(optimize.brentq(lambda d: score(d) - z, -edge, difference - 1e-12))
    high = 1.0 if score(edge) > -z else float(optimize.brentq(lambda d: score(d) + z, difference + 1e-12, edge))
    return Estimate(difference, low, high)
