"""Tests of whether two sets of samples may be of one population, which hold for few samples and any distribution.

Both ask how often a random division of all samples into two such sets would look like the one that was given. The
values of one sample are alike, so that the samples are counted and not their values.
"""

from __future__ import annotations

import math

import numpy as np

from runtimes.inference.drift import stability_index
from runtimes.tensors import Array

_DIVISIONS = 199  # with the given one 200, so that the smallest probability is 0.005
_SEED = 0


def exceedance_probability(above: int, n: int, others: int) -> float:
    """Compute the probability that so many of n samples, or more, are above all others, by chance alone.

    Exact for values without ties, which make it smaller (Gumbel and von Schelling, The distribution of the number of
    exceedances, 1950).

    Args:
        above: the number of samples whose value is larger than that of every other one.
        n: the number of samples that these are among.
        others: the number of the others.
    """
    return math.comb(n + others - above, others) / math.comb(n + others, others)


def shift(reference: Array, counts: Array) -> tuple[Array, Array]:
    """Compute each variable's population stability index, and the probability that chance makes it as large.

    Each index is divided by its mean over random divisions, and compared with the largest of all variables in each of
    them. So the probability is that of any false alarm among all variables (the single-step max-T procedure of Westfall
    and Young, Resampling-Based Multiple Testing, 1993), and a variable of few values drowns no others.

    Args:
        reference: values of each sample in each bin: [samples, variables, bins].
        counts: those of the other set, which has the same variables and bins.

    Returns:
        The indices and the probabilities: float64 [variables] each.
    """
    both = np.concatenate([reference, counts]).astype(np.float64)
    members = np.zeros((1 + _DIVISIONS, len(both)))
    members[:, : len(reference)] = 1
    members[1:] = np.random.default_rng(_SEED).permuted(members[1:], axis=1)
    within = np.tensordot(members, both, 1)  # [divisions, variables, bins]; the first division is the given one
    index = stability_index(_shares(both.sum(0) - within), _shares(within))
    ratio = index / np.maximum(index.mean(axis=0), np.finfo(np.float64).tiny)
    largest = ratio[1:].max(axis=1, initial=0)
    as_large = (largest[:, None] >= ratio[0]).sum(axis=0)
    return index[0], (1 + as_large) / (1 + _DIVISIONS)


def _shares(counts: Array) -> Array:
    return np.asarray(counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1))
