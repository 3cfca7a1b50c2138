"""Inference about a figure that is no mean over samples, from replicates of it; `resampling` makes these."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy import stats

from hwbench.stats.inference import Mirrored, Side
from hwbench.stats.intervals import CONFIDENCE, Estimate
from runtimes.tensors import Array


@dataclass(frozen=True)
class _Replicated(Mirrored):
    """A figure and its replicates.

    Attributes:
        value: the figure of all samples.
        replicates: the figure of each resample, or without each group.
        n: number of samples, if the figure is a share, from 0 to 1.
    """

    value: float
    replicates: Array
    n: int | None = None

    def _confidence(self, limit: float, side: Side) -> float:
        room, error = side * (limit - self.value), self._standard_error
        return _unseen_change(room, self.n) if error == 0 else self._sure(limit, side, _deviations(room, error, self.n))

    @property
    @abstractmethod
    def _standard_error(self) -> float:
        """The figure's standard error, by the replicates."""

    @abstractmethod
    def _sure(self, limit: float, side: Side, deviations: float) -> float:
        """Return the confidence of a limit that lies so many standard errors off."""


class Bootstrap(_Replicated):
    """A figure by the percentile bootstrap, and no surer than a normal distribution."""

    def estimate(self) -> Estimate:
        """Estimate the figure."""
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(self.replicates, [tail, 1 - tail])
        return Estimate(self.value, min(float(low), self.value), max(float(high), self.value))

    @property
    def _standard_error(self) -> float:
        return float(np.std(self.replicates))

    def _sure(self, limit: float, side: Side, deviations: float) -> float:
        within = int((side * (limit - self.replicates) >= 0).sum())
        return min(within / (len(self.replicates) + 1), float(stats.norm.cdf(deviations)))


class Jackknife(_Replicated):
    """A figure by the delete-a-group jackknife (Kott, 2001, Journal of Official Statistics 17, 521-526).

    It takes as many calls of a metric as there are groups, where a bootstrap takes hundreds. The distribution is
    Student's, with one degree of freedom less than there are groups.
    """

    def estimate(self) -> Estimate:
        """Estimate the figure."""
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(self.replicates) - 1)) * self._standard_error
        return Estimate(self.value, self.value - half, self.value + half)

    @property
    def _standard_error(self) -> float:
        groups = len(self.replicates)
        return math.sqrt((groups - 1) / groups * float(((self.replicates - np.mean(self.replicates)) ** 2).sum()))

    def _sure(self, limit: float, side: Side, deviations: float) -> float:
        return float(stats.t.cdf(deviations, len(self.replicates) - 1))


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
