"""Top-1: the share of samples whose largest score in the first output is the label's, an integer class number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwbench.metrics._labels import classes_of, predicted_classes, right_classes, threshold
from hwbench.metrics._outputs import first, one_by_one
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (0.0, 1.0)


def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """Tell per sample whether the prediction is right. NaN among a sample's scores makes it wrong.

    Labels of shape [n, k] list several right classes per sample, padded with -1.
    """
    return _scores(outputs, labels, threshold(outputs))


@one_by_one
def _scores(outputs: Mapping[str, Array], labels: Array, above: float) -> Array:
    scores = first(outputs).reshape(len(labels), -1)
    predicted = predicted_classes(scores, above)[:, None]
    right: Array = (right_classes(labels, classes_of(scores, labels)) == predicted).any(axis=1)
    return right


def decisions(outputs: Mapping[str, Array]) -> Array:
    """Return the predicted class of each sample, of shape [n]."""
    return _decisions(outputs, np.empty(len(next(iter(outputs.values())))), threshold(outputs))


@one_by_one
def _decisions(outputs: Mapping[str, Array], labels: Array, above: float) -> Array:
    scores = first(outputs)
    return predicted_classes(scores.reshape(len(scores), -1), above)
