"""Top-5: the share of samples whose label is among the five largest scores of the first output."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwbench.metrics._labels import right_classes
from hwbench.metrics._outputs import first, one_by_one
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (0.0, 1.0)


@one_by_one
def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """Tell per sample whether a right class is among the five. NaN among a sample's scores makes it wrong.

    Labels of shape [n, k] list several right classes per sample, padded with -1.
    """
    scores = first(outputs).reshape(len(labels), -1).astype(np.float64)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    right: Array = (right_classes(labels, scores.shape[1])[:, :, None] == best[:, None, :]).any(axis=(1, 2))
    return right & ~np.isnan(scores).any(axis=1)
