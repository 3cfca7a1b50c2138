"""Intersection over union of a segmentation, the first output, averaged over the classes of each sample."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwbench.metrics._labels import predicted_classes, threshold
from hwbench.metrics._outputs import called, first, one_by_one
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (0.0, 1.0)

_VOID = 255  # Pascal VOC's mark for pixels that do not count


def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """Return each sample's mean over the classes that are predicted or right somewhere in it.

    Args:
        outputs: scores of shape [n, classes, height, width] or [n, height, width, classes], or class numbers of the
            labels' shape.
        labels: class numbers of shape [n, height, width]. Pixels of a negative class do not count, nor those of
            class 255 if the model has fewer classes.

    Raises:
        ValueError: the shapes do not fit, the labels are not class numbers, or a sample has no pixel that counts.
    """
    return _scores(outputs, labels, threshold(outputs))


@one_by_one
def _scores(outputs: Mapping[str, Array], labels: Array, above: float) -> Array:
    predicted, classes = _predicted(outputs, labels, above)
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels are {labels.dtype.name}; give class numbers, as integers")
    counts = (labels >= 0) & ((labels != _VOID) | (classes > _VOID))
    if counts.any() and labels[counts].max() >= classes:
        raise ValueError(f"labels go up to {labels[counts].max()}, and the model has {classes} classes from 0 on")
    return np.array([_mean(*pair) for pair in zip(predicted, labels, counts)])


def _predicted(outputs: Mapping[str, Array], labels: Array, above: float) -> tuple[Array, int]:
    """Return the class of each pixel, and the number of classes."""
    own, pixels = first(outputs), labels.shape
    if own.shape == pixels or own.size == labels.size:
        own = own.reshape(pixels)
        most = max(own.max(initial=1), labels.max(initial=1, where=labels != _VOID)) if own.dtype.kind in "iu" else 1
        return predicted_classes(own[:, None], above), int(most) + 1
    if own.ndim == labels.ndim + 1 and (own.shape[0], *own.shape[2:]) == pixels:
        return predicted_classes(own, above), own.shape[1]
    if own.ndim == labels.ndim + 1 and own.shape[:-1] == pixels:
        return predicted_classes(own, above, axis=own.ndim - 1), own.shape[-1]
    raise ValueError(
        f"{called(outputs)} has not the pixels of the labels, {list(pixels)}, with an axis of classes before or after"
    )


def _mean(predicted: Array, right: Array, counts: Array) -> float:
    predicted, right = predicted[counts], right[counts]
    if not len(right):
        raise ValueError("a sample has no pixel that counts")
    classes = np.union1d(predicted[predicted >= 0], right)
    both = [((predicted == c) & (right == c)).sum() / ((predicted == c) | (right == c)).sum() for c in classes]
    return float(np.mean(both))
