"""Top-1: the share of samples whose largest score in the first output is the label's, an integer class number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwbench.metrics._labels import first, right_classes
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (0.0, 1.0)


def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """Tell per sample whether the prediction is right. NaN among a sample's scores makes it wrong.

    Labels of shape [n, k] list several right classes per sample, padded with -1.
    """
    scores = first(outputs).reshape(len(labels), -1)
    predicted = scores.argmax(axis=1)
    right: Array = (right_classes(labels, scores.shape[1]) == predicted[:, None]).any(axis=1)
    return right & ~np.isnan(scores).any(axis=1)
