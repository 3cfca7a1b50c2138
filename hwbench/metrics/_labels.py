"""Labels and scores of classification, as its metrics read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from hwbench.metrics._outputs import called, first
from runtimes.sample_arrays import RaggedArray, Rows
from runtimes.tensors import Array

NO_CLASS = -2
"""Prediction of a sample with NaN among its scores; -1 pads lists of right classes."""


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


def threshold(outputs: Mapping[str, Rows]) -> float:
    """Return the number that a single score per sample is above if class 1 is predicted.

    It is 0.5; or 0 if some score of any sample is outside [0, 1], so that all are logits, as torchmetrics reads them.
    """
    scores = next(iter(outputs.values()))
    samples = scores if isinstance(scores, RaggedArray) else [np.asarray(scores)]
    return 0.0 if any(_least(array) < 0 or _most(array) > 1 for array in samples) else 0.5


def predicted_classes(scores: Array, above: float, axis: int = 1) -> Array:
    """Return the class with the largest score along an axis. One with NaN among its scores is `NO_CLASS`.

    An axis of length 1 holds class numbers if it holds integers; else scores of class 1 against class 0, which is
    predicted where they are `above` the `threshold`.
    """
    unclear = np.asarray(np.isnan(scores).any(axis=axis))
    if scores.shape[axis] > 1:
        found: Array = scores.argmax(axis=axis)
    else:
        alone = np.take(scores, 0, axis=axis)
        if alone.dtype.kind in "biu":
            return np.asarray(alone, np.int64)
        found = np.asarray(alone > above, np.int64)
    found[unclear] = NO_CLASS
    return found


def one_class_each(outputs: Mapping[str, Array], labels: Array) -> dict[str, Array]:
    """Return the predicted and the right class of each sample, both of shape [n], for `of_classes`.

    Raises:
        ValueError: the labels are not one class number per sample, or the output is not one row of scores per sample.
    """
    scores = first(outputs).reshape(len(labels), -1)
    if max(first(outputs).shape[1:], default=1) < scores.shape[1]:
        raise ValueError(f"{called(outputs)} has several axes; the metric takes [n, classes]")
    if labels.size != len(labels):
        raise ValueError(f"labels have shape {list(labels.shape)}; give one class number per sample")
    right = right_classes(labels, classes_of(scores, labels))[:, 0]
    if len(right) and right.min() < 0:
        raise ValueError("a label is -1; give every sample a class number")
    return {"predicted": predicted_classes(scores, threshold(outputs)), "right": right}


def classes_of(scores: Array, labels: Array) -> int:
    """Count the classes of scores [n, classes]; a column of class numbers has as many as it and the labels show."""
    if scores.shape[1] > 1:
        return int(scores.shape[1])
    if scores.dtype.kind in "iu" and scores.size and labels.dtype.kind in "iu":
        return int(max(scores.max(), labels.max(), 1)) + 1
    return 2


def macro(function: Callable[..., float], reduced: Mapping[str, Array], of_class: int | None = None) -> float:
    """Compute a function of scikit-learn's for one class, or averaged over those that are predicted or right somewhere.

    Args:
        function: `f1_score`, `precision_score` or `recall_score`.
        reduced: arrays of `one_class_each`.
        of_class: the class; 0 is returned if it is neither predicted nor right.
    """
    predicted, right = reduced["predicted"], reduced["right"]
    listed = sorted({*np.unique(predicted).tolist(), *np.unique(right).tolist()} - {NO_CLASS})
    classes = listed if of_class is None else [of_class]
    return float(function(right, predicted, labels=classes, average="macro", zero_division=0))


def _least(scores: Array) -> float:
    return float(np.fmin.reduce(scores, axis=None, initial=0))  # without NaN, and without a copy


def _most(scores: Array) -> float:
    return float(np.fmax.reduce(scores, axis=None, initial=0))


def _looks_one_hot(listed: Array, classes: int) -> bool:
    """Tell whether labels are one-hot. With two classes, a row of 0 and 1 may list both classes as right, but hardly in
    every sample.
    """
    if listed.dtype.kind not in "biuf" or listed.shape[1] != classes or classes < 2:
        return False
    is_binary = set(np.unique(listed).tolist()) <= {0, 1}
    return is_binary and (classes > 2 or bool((listed.sum(axis=1) == 1).all()))
