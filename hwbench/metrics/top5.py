"""Top-5: the label is among the five largest of the first output's scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwbench.metrics import only
from runtimes.tensors import Array

higher_is_better = True


def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """1 or 0 per sample. Labels of shape [n, k] list several right classes, padded with -1. NaN is never right."""
    scores = only(outputs).reshape(len(labels), -1).astype(np.float64)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    right: Array = (labels.reshape(len(labels), -1, 1) == best[:, None, :]).any(axis=(1, 2))
    return right & ~np.isnan(scores).any(axis=1)
