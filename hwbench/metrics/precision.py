"""Precision: the share of a class's predictions that are right, of one class or averaged, by scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping

from sklearn.metrics import precision_score

from hwbench.metrics._labels import macro
from hwbench.metrics._labels import one_class_each as reduce
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (0.0, 1.0)


def score(outputs: Mapping[str, Array], labels: Array) -> float:
    """Score outputs [n, classes] against class numbers [n] by the macro average, in [0, 1]."""
    return combine(reduce(outputs, labels))


def combine(reduced: Mapping[str, Array], of_class: int | None = None) -> float:
    """Score the classes of all samples, or one class; 0 where the class is neither predicted nor right."""
    return macro(precision_score, reduced, of_class)
