"""Difference of two models' proportions on the same samples: its interval, and an exact test against a limit.

Only samples that one model gets right and the other does not tell anything about the difference. There may be none of
them, so tests and intervals here are those for few events: a bootstrap of samples that all agree would claim certainty.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from hwbench.stats.intervals import CONFIDENCE, Estimate
from runtimes.tensors import Array

_OUTSIDE = 1e-6  # probability that the nuisance parameter is outside the set that the p-value is maximised over
_GRID = 64  # values of the nuisance parameter that are tried
_MANY = 1_000  # discordant pairs from which the normal approximation is within 0.0002 of p-values up to 0.1
_TO_FLIPS = 0.2  # of the probability of error, for the test of the flips; the test of the pairs has the rest
_HOPELESS = 0.05  # a p-value: if samples with labels cannot reach it even without a loss, the flips have it all


@dataclass(frozen=True)
class Flips:
    """Samples without labels on which two models were compared.

    Attributes:
        n: number of samples.
        changed: number of samples for which the two models decide differently; None if they were not run.
    """

    n: int
    changed: int | None = None


@dataclass(frozen=True)
class PairedProportions:
    """Two models' right and wrong answers on the same samples; the difference is first less second.

    Samples without labels bound the difference, too: where two models decide alike, the score is the same whatever the
    label, so that the difference is at most the share of samples for which they decide differently.

    Attributes:
        lost: number of samples that only the first model gets right.
        gained: number of samples that only the second model gets right.
        n: number of samples with labels.
        flips: samples without labels.
    """

    lost: int
    gained: int
    n: int
    flips: Flips | None = None

    def estimate(self) -> Estimate:
        """Estimate the difference; the interval is Tango's, or the bounds of the flips where they are closer.

        With flips, the value is no larger than if each of them were a loss, or a gain.
        """
        tail = (1 - CONFIDENCE) / 2
        low, high = _tango(self.lost, self.gained, self.n, tail * (1 - _TO_FLIPS if self.flips is not None else 1))
        value = (self.lost - self.gained) / self.n
        flips = self.flips
        if flips is not None and flips.changed is not None:
            losses, gains = (events + flips.changed for events in (self.lost, self.gained))
            high = min(high, self._flips_bound(losses, tail * _TO_FLIPS))
            low = max(low, -self._flips_bound(gains, tail * _TO_FLIPS))
            value = float(np.clip(value, -gains / (self.n + flips.n), losses / (self.n + flips.n)))
        return Estimate(value, min(low, value), max(high, value))

    def at_most(self, limit: float) -> float:
        """Return the confidence that the difference is at most `limit`: 1 less the p-value of a larger one.

        If flips were announced, two tests share the probability of error (Bonferroni), a fifth for the flips: rare
        events are told apart by a few more samples, so that a small share costs them little. Where the samples with
        labels are too few to show anything, the flips have all of it.
        """
        to_pairs, to_flips = self._shares(limit)
        p = exact_p_value(self.lost, self.gained, self.n, limit) / to_pairs if to_pairs else 1.0
        flips = self.flips
        if flips is not None and flips.changed is not None and 0 <= limit < 1:
            # A larger difference makes each sample with a label a loss, and each other one a flip, with a probability
            # above the limit.
            p = min(p, float(special.bdtr(self.lost + flips.changed, self.n + flips.n, limit)) / to_flips)
        return max(0.0, 1 - p)

    def at_least(self, limit: float) -> float:
        """Return the confidence that the difference is at least `limit`, by the samples with labels alone."""
        return 1 - exact_p_value(self.gained, self.lost, self.n, -limit)

    def pairs_needed(self, limit: float, asked: float) -> float:
        """Estimate the number of samples with labels like these that show the difference to be at most `limit`.

        It is that of the score test, or where no sample was lost or gained that of the binomial test; infinity if the
        difference is larger.
        """
        error = (1 - asked) * (1 - _TO_FLIPS if self.flips is not None else 1)
        difference = (self.lost - self.gained) / self.n
        if not difference < limit:
            return np.inf
        if not self.lost + self.gained:
            return float(np.log(error) / np.log1p(-limit))
        gain = float(_gain(np.asarray(self.lost), np.asarray(self.gained), self.n, limit))
        variance = 2 * gain + limit * (1 - limit)
        return float(stats.norm.isf(error)) ** 2 * variance / (limit - difference) ** 2

    def flips_needed(self, limit: float, asked: float) -> float:
        """Estimate the number of samples, with labels or without, whose flips show it; infinity if too many flip."""
        flips = self.flips if self.flips is not None else Flips(0)
        rate = (self.lost + (flips.changed or 0)) / (self.n + (flips.n if flips.changed is not None else 0))
        if not rate < limit < 1:
            return np.inf
        error = (1 - asked) * (1.0 if (1 - limit) ** self.n > _HOPELESS else _TO_FLIPS)
        if not rate:
            return float(np.log(error) / np.log1p(-limit))
        return float(stats.norm.isf(error)) ** 2 * limit * (1 - limit) / (limit - rate) ** 2

    def _shares(self, limit: float) -> tuple[float, float]:
        """Divide the probability of error between the pairs and the flips, by the numbers of samples alone."""
        if self.flips is None:
            return 1.0, 0.0
        least, least_of_all = ((1 - limit) ** n for n in (self.n, self.n + self.flips.n))
        is_hopeless = 0 <= limit < 1 and least > _HOPELESS >= least_of_all
        return (0.0, 1.0) if is_hopeless else (1 - _TO_FLIPS, _TO_FLIPS)

    def _flips_bound(self, events: int, tail: float) -> float:
        """Bound a probability from above by the number of events among all samples (Clopper and Pearson, 1934)."""
        assert self.flips is not None
        n = self.n + self.flips.n
        return float(stats.beta.ppf(1 - tail, events + 1, n - events)) if events < n else 1.0


@functools.lru_cache(maxsize=4096)
def exact_p_value(lost: int, gained: int, n: int, limit: float) -> float:
    """Compute the p-value of a difference above `limit`: small if the samples show that it is not.

    The statistic is Tango's score (1998, Statistics in Medicine 17, 891-908; Nam, 1997, Biometrics 53, 1422-1430). Its
    distribution is not approximated but summed over all tables, for the worst probability of a discordant pair within
    a confidence set (Berger and Boos, 1994, JASA 89, 1012-1016; for paired proportions Hsueh, Liu and Chen, 2001,
    Biometrics 57, 478-483). With a thousand discordant pairs or more it is the normal distribution.

    Args:
        lost: number of samples that only the first model gets right.
        gained: number of samples that only the second model gets right.
        n: number of samples.
        limit: the difference to exclude, first less second.
    """
    if not -1 < limit < 1:
        return 0.0 if limit >= 1 else 1.0
    observed = float(_score(np.asarray(lost), np.asarray(gained), n, limit))
    if lost + gained >= _MANY:
        return float(stats.norm.cdf(observed))
    events = lost + gained  # Binomial(n, 2 q + limit), where q is the probability of a gain
    least = max(0.0, -limit)
    most = (1 - limit) / 2
    low = float(stats.beta.ppf(_OUTSIDE / 2, events, n - events + 1)) if events else 0.0
    high = float(stats.beta.ppf(1 - _OUTSIDE / 2, events + 1, n - events)) if events < n else 1.0
    tried = np.clip(np.linspace((low - limit) / 2, (high - limit) / 2, _GRID), least, most)
    return min(1.0, float(_no_larger(tried, observed, n, limit).max()) + _OUTSIDE)


def _no_larger(gain: Array, observed: float, n: int, limit: float) -> Array:
    """Compute the probability of a score that is no larger than the observed one, for each probability of a gain.

    The score grows with the losses, so that the tables with so many gains whose score is no larger are those with so
    many losses at most.
    """
    gain = np.unique(gain)[:, None]
    first = int(stats.binom.ppf(1e-9, n, gain.min()))
    last = int(stats.binom.isf(1e-9, n, gain.max()))
    gains = np.arange(first, min(last, n) + 1)
    low, high = np.full(len(gains), -1), n - gains  # the score of `low` losses is no larger; -1 stands for none
    while (low < high).any():
        middle = (low + high + 1) // 2
        fits = _score(middle, gains, n, limit) <= observed + 1e-9
        low, high = np.where(fits, middle, low), np.where(fits, high, middle - 1)
    loss = np.clip((gain + limit) / np.maximum(1 - gain, 1e-12), 0.0, 1.0)
    at_most = np.where(low < 0, 0.0, special.bdtr(np.maximum(low, 0), n - gains, loss))
    found: Array = (stats.binom.pmf(gains, n, gain) * at_most).sum(axis=1)
    return found


def _score(lost: Array, gained: Array, n: int, limit: float) -> Array:
    """Compute Tango's score of a difference."""
    variance = n * (2 * _gain(lost, gained, n, limit) + limit * (1 - limit))
    score: Array = (lost - gained - n * limit) / np.sqrt(np.maximum(variance, 1e-12))
    return score


def _gain(lost: Array, gained: Array, n: int, limit: float) -> Array:
    """Estimate the probability of a gain if the difference is `limit`, by maximum likelihood: Tango's equation (5)."""
    quadratic = (2 * n - lost + gained) * limit - lost - gained
    root = np.sqrt(np.maximum(quadratic**2 + 8 * n * gained * limit * (1 - limit), 0.0))
    found: Array = (root - quadratic) / (4 * n)
    return found


def _tango(lost: int, gained: int, n: int, tail: float) -> tuple[float, float]:
    """Compute Tango's score interval, with a probability of `tail` beyond each end."""
    z = float(stats.norm.isf(tail))
    difference, edge = (lost - gained) / n, 1 - 1e-9

    def score(delta: float) -> float:
        return float(_score(np.asarray(lost), np.asarray(gained), n, delta))

    low = -1.0 if score(-edge) < z else float(optimize.brentq(lambda d: score(d) - z, -edge, difference - 1e-12))
    high = 1.0 if score(edge) > -z else float(optimize.brentq(lambda d: score(d) + z, difference + 1e-12, edge))
    return low, high
