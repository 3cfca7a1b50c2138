"""Top-5: the share of samples whose label is among the five largest scores of the first output."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwbench.metrics._labels import NO_CLASS, right_classes
from hwbench.metrics._outputs import first, one_by_one
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (0.0, 1.0)


@one_by_one
def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """Tell per sample whether a right class is among the five. NaN among a sample's scores makes it wrong.

    Labels of shape [n, k] list several right classes per sample, padded with -1.
    """
    scores = first(outputs).reshape(len(labels), -1)
    best = _best(scores)
    right: Array = (right_classes(labels, scores.shape[1])[:, :, None] == best[:, None, :]).any(axis=(1, 2))
    return right


def decisions(outputs: Mapping[str, Array]) -> Array:
    """Return the five classes with the largest scores of each sample, in ascending order, of shape [n, 5]."""
    return _decisions(outputs, np.empty(len(next(iter(outputs.values())))))


@one_by_one
def _decisions(outputs: Mapping[str, Array], labels: Array) -> Array:
    scores = first(outputs)
    return np.sort(_best(scores.reshape(len(scores), -1)), axis=1)


def _best(scores: Array) -> Array:
    """List the five best classes of each sample; those of one with NaN among its scores are `NO_CLASS`."""
    best = np.argsort(-scores.astype(np.float64), axis=1, kind="stable")[:, :5]
    best[np.isnan(scores).any(axis=1)] = NO_CLASS
    return best
