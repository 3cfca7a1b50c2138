"""Area under the ROC curve of the first output's last score (scikit-learn's); labels are 0 or 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import roc_auc_score

from hwbench.metrics import first
from runtimes.tensors import Array

higher_is_better = True
bounds = (0.0, 1.0)


def score(outputs: Mapping[str, Array], labels: Array) -> float:
    """One number in [0, 1].

    Raises:
        ValueError: the labels are all of one class.
    """
    if len(np.unique(labels)) < 2:
        raise ValueError("the labels are all of one class; the area under the curve takes two")
    return float(roc_auc_score(labels, first(outputs).reshape(len(labels), -1)[:, -1]))
