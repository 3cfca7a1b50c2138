"""Labels and scores of classification, as its metrics read them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runtimes.tensors import Array


def first(outputs: Mapping[str, Array]) -> Array:
    """Return the first output, which the classification metrics score."""
    return next(iter(outputs.values()))


def right_classes(labels: Array, classes: int) -> Array:
    """Read labels of classification.

    Args:
        labels: class numbers of shape [n] or [n, k].
        classes: number of classes of the model.

    Returns:
        The right classes of each sample, of shape [n, k], padded with -1.

    Raises:
        ValueError: the labels are not class numbers of this model; says why.
    """
    listed = labels.reshape(len(labels), -1)
    if _looks_one_hot(listed, classes):
        raise ValueError("labels look one-hot; give class numbers, as in labels.argmax(1)")
    if labels.dtype.kind not in "iu":
        kind = "text" if labels.dtype.kind in "US" else labels.dtype.name
        raise ValueError(f"labels are {kind}; give class numbers, as integers")
    if listed.size and not -1 <= listed.min() <= listed.max() < classes:
        raise ValueError(
            f"labels go from {listed.min()} to {listed.max()}, and the model has {classes} classes from 0 on"
        )
    return listed


def _looks_one_hot(listed: Array, classes: int) -> bool:
    """Tell whether labels are one-hot. With two classes, a row of 0 and 1 may list both classes as right, but hardly in
    every sample.
    """
    if listed.dtype.kind not in "biuf" or listed.shape[1] != classes or classes < 2:
        return False
    is_binary = set(np.unique(listed).tolist()) <= {0, 1}
    return is_binary and (classes > 2 or bool((listed.sum(axis=1) == 1).all()))
