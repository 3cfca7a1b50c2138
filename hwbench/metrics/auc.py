"""Area under the ROC curve, by scikit-learn, of the last score of the model's first output; labels are 0 or 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import roc_auc_score

from hwbench.metrics._outputs import called, first
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (0.0, 1.0)


def score(outputs: Mapping[str, Array], labels: Array) -> float:
    """Score outputs [n], [n, 1] or [n, 2] by one number in [0, 1].

    Raises:
        ValueError: all labels are of one class, or are not 0 or 1; or some score is NaN.
    """
    if labels.size != len(labels) or not set(np.unique(labels).tolist()) <= {0, 1}:
        raise ValueError(f"labels of shape {list(labels.shape)} are not 0 or 1, one per sample")
    if len(np.unique(labels)) < 2:
        raise ValueError("the labels are all of one class; the area under the curve takes two")
    scores = first(outputs).reshape(len(labels), -1)[:, -1]
    if np.isnan(scores).any():
        raise ValueError(f"{called(outputs)} holds NaN")
    return float(roc_auc_score(labels.reshape(-1), scores))
