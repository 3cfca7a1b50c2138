"""Balanced accuracy: the recall of each class that occurs in the labels, averaged, by scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import recall_score

from hwbench.metrics._labels import one_class_each as reduce
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (0.0, 1.0)


def score(outputs: Mapping[str, Array], labels: Array) -> float:
    """Score outputs [n, classes] against class numbers [n] by one number in [0, 1]."""
    return combine(reduce(outputs, labels))


def combine(reduced: Mapping[str, Array]) -> float:
    """Score the classes of all samples. This is `balanced_accuracy_score` without its warning at other predictions."""
    right = reduced["right"]
    return float(recall_score(right, reduced["predicted"], labels=np.unique(right), average="macro"))
