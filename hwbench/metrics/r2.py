"""Coefficient of determination (R2) of the first output, by scikit-learn, whose labels have its shape."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from sklearn.metrics import r2_score

from hwbench.metrics._outputs import called, matching
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (-math.inf, 1.0)


def score(outputs: Mapping[str, Array], labels: Array) -> float:
    """Score all samples by one number, at most 1; several values per sample are averaged.

    Raises:
        ValueError: the output's shape is not that of the labels, the labels are all equal, or an output is not finite.
    """
    own, wanted = (array.reshape(len(labels), -1).astype(np.float64) for array in matching(outputs, labels))
    if not np.isfinite(own).all():
        raise ValueError(f"{called(outputs)} holds NaN or infinity")
    if len(wanted) < 2 or (wanted == wanted[0]).all():
        raise ValueError("the labels are all equal, so none of their variance can be explained")
    return float(r2_score(wanted, own))
