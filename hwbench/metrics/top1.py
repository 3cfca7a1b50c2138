"""Top-1: the share of samples whose largest score in the first output is the label's, an integer class number."""

from __future__ import annotations

from collections.abc import Mapping

from hwbench.metrics._labels import classes_of, predicted_classes, right_classes
from hwbench.metrics._outputs import first, one_by_one
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (0.0, 1.0)


@one_by_one
def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """Tell per sample whether the prediction is right. NaN among a sample's scores makes it wrong.

    Labels of shape [n, k] list several right classes per sample, padded with -1.
    """
    scores = first(outputs).reshape(len(labels), -1)
    right: Array = (right_classes(labels, classes_of(scores, labels)) == predicted_classes(scores)[:, None]).any(axis=1)
    return right
