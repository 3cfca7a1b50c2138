"""Top-5: the label is among the five largest of the first output's scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwbench.metrics import first, right_classes
from runtimes.tensors import Array

higher_is_better = True
bounds = (0.0, 1.0)


def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """Right or wrong per sample. Labels of shape [n, k] list several right classes, padded with -1; NaN is wrong."""
    scores = first(outputs).reshape(len(labels), -1).astype(np.float64)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    right: Array = (right_classes(labels, scores.shape[1])[:, :, None] == best[:, None, :]).any(axis=(1, 2))
    return right & ~np.isnan(scores).any(axis=1)
