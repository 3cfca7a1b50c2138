"""Replicates of a figure that is no mean over samples: on bootstrap resamples or, if that takes too long, by groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from runtimes.errors import UsageError
from runtimes.tensors import Array

Resampling = Literal["bootstrap", "jackknife"]

BOOTSTRAP = 500
"""Number of bootstrap replicates."""

_DRAWS = 100  # resamples to try for one replicate, since a figure may be undefined on some
_LONGEST_S = 10.0  # that all replicates of one model should take
_FEWEST, _MOST = 10, 50  # groups of the jackknife: Student's factor at nine degrees of freedom is 1.83, not 1.64
_SEED = 0  # equal seeds make equal resamples, so that the replicates of two models are paired


def plan(call_s: float, n: int) -> tuple[Resampling, int]:
    """Choose the resampling and the number of replicates by the time that one call takes.

    Args:
        call_s: seconds of one call on all samples.
        n: number of samples.
    """
    if BOOTSTRAP * call_s <= _LONGEST_S:
        return "bootstrap", BOOTSTRAP
    if n < 2:  # nothing can be left out, and no replicate would differ
        return "bootstrap", 1
    return "jackknife", min(n, max(_FEWEST, min(_MOST, int(_LONGEST_S / call_s))))


def replicates(figure: Callable[[Array], float], n: int, resampling: Resampling, count: int) -> tuple[float, ...]:
    """Compute a figure of some samples several times.

    Args:
        figure: computes it of the samples with these indices.
        n: number of samples.
        resampling: "bootstrap" draws `n` samples with replacement; "jackknife" leaves out one of `count` random groups
            of equal size, to within one sample.
        count: number of replicates.

    Raises:
        UsageError: the figure is undefined on nearly every resample.
    """
    if resampling == "bootstrap":
        return tuple(_bootstrapped(figure, n, index) for index in range(count))
    order = np.random.default_rng(_SEED).permutation(n)
    rows = (np.sort(np.delete(order, slice(group, None, count))) for group in range(count))
    return tuple(map(figure, rows))


def _bootstrapped(figure: Callable[[Array], float], n: int, index: int) -> float:
    """Compute the figure on resample number `index`. If it is undefined on a resample, as the AUC is on a single class,
    another is drawn; every number has its own seed, so that the other resamples stay paired.
    """
    rng = np.random.default_rng((_SEED, index))
    problem: UsageError | None = None
    for _ in range(_DRAWS):
        try:
            return figure(rng.integers(0, n, n))
        except UsageError as error:
            problem = error
    raise UsageError(f"There are too few samples to resample: {problem}") from problem
