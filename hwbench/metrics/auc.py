"""Area under the ROC curve, by scikit-learn, of the last score of the model's first output; labels are 0 or 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import roc_auc_score

from hwbench.metrics._labels import first
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (0.0, 1.0)


def score(outputs: Mapping[str, Array], labels: Array) -> float:
    """Score outputs by one number in [0, 1].

    Raises:
        ValueError: all labels are of one class.
    """
    if len(np.unique(labels)) < 2:
        raise ValueError("the labels are all of one class; the area under the curve takes two")
    return float(roc_auc_score(labels, first(outputs).reshape(len(labels), -1)[:, -1]))
