"""Parity: closeness to the source model's outputs, for evaluations without labels.

A sample's score is that of its worst output, so that an output of boxes in hundreds of pixels cannot hide another of
scores below one. The score of a floating-point output is 1 - ||y - reference|| / ||reference||, at least 0; that of
integers and booleans is the share of equal elements.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (0.0, 1.0)


def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """Score each sample.

    Args:
        outputs: the model's outputs, samples first.
        labels: the reference's outputs of shape [n, k]: all outputs of a sample flattened and joined in the model's
            order, as `flatten` gives them. Infinity and NaN match only themselves.

    Returns:
        One score in [0, 1] per sample.
    """
    worst, start = np.ones(len(labels)), 0
    for array in outputs.values():
        own = array.reshape(len(array), -1)
        reference = labels[:, start : start + own.shape[1]]
        start += own.shape[1]
        if own.shape[1]:
            compare = _share_equal if array.dtype.kind in "biu" else _closeness
            worst = np.minimum(worst, compare(own.astype(np.float64), reference.astype(np.float64)))
    return worst


def flatten(outputs: Mapping[str, Array]) -> Array:
    """Join all outputs of each sample in one row, of shape [n, k]."""
    return np.concatenate([array.reshape(len(array), -1) for array in outputs.values()], axis=1)


def _share_equal(own: Array, reference: Array) -> Array:
    share: Array = (own == reference).mean(axis=1)
    return share


def _closeness(own: Array, reference: Array) -> Array:
    same = (own == reference) | (np.isnan(own) & np.isnan(reference))
    difference = np.subtract(own, reference, out=np.zeros_like(own), where=~same)
    scale = np.linalg.norm(np.where(np.isfinite(reference), reference, 0.0), axis=1)
    error = np.linalg.norm(difference, axis=1) / np.where(scale > 0, scale, 1.0)
    scores: Array = np.maximum(0.0, 1.0 - np.where(np.isfinite(error), error, 1.0))
    return scores
