"""Boxes: the outputs and the labels of detectors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runtimes.sample_arrays import RaggedArray, Rows
from runtimes.tensors import Array

_LAYOUT = (
    "the metric takes outputs named boxes [n, d, 4], scores [n, d] and classes or labels [n, d], or one output "
    "[n, d, 6] of x1, y1, x2, y2, score, class"
)


def detections(outputs: Mapping[str, Rows], n: int) -> tuple[Array, Array, Array]:
    """Read a detector's outputs; those of mixed sizes have empty rows where others find more.

    Returns:
        Boxes [n, d, 4] and scores [n, d] in float64, and classes [n, d], of which -1 is an empty row.

    Raises:
        ValueError: they are laid out otherwise.
    """
    found = {name: _filled(array, 0) for name, array in outputs.items()}
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in found.items())
    classes = found.get("classes", found.get("labels"))
    if "boxes" in found and "scores" in found and classes is not None:
        boxes, scores = found["boxes"], found["scores"]
    elif len(found) == 1 and next(iter(found.values())).shape[2:] == (6,):
        rows = next(iter(found.values()))
        boxes, scores, classes = rows[..., :4], rows[..., 4], rows[..., 5]
    else:
        raise ValueError(f"the outputs are {shapes}; {_LAYOUT}")
    if boxes.ndim != 3 or boxes.shape[2] != 4 or not boxes.shape[:2] == scores.shape == classes.shape:
        raise ValueError(f"the outputs are {shapes}; {_LAYOUT}")
    scores = scores.astype(np.float64)
    with np.errstate(invalid="ignore"):  # NaN is no class, and its row is empty
        numbers = np.where(scores > 0, np.rint(classes.astype(np.float64)), -1)
    return boxes.astype(np.float64), np.nan_to_num(scores), np.nan_to_num(numbers, nan=-1).astype(np.int64)


def truths(labelled: Rows) -> tuple[Array, Array]:
    """Read labels [n, g, 5], or [g, 5] of each sample, as boxes [n, g, 4] and classes [n, g].

    Raises:
        ValueError: they are laid out otherwise.
    """
    labels = _filled(labelled, -1)
    if labels.ndim != 3 or labels.shape[2] != 5 or labels.dtype.kind not in "iuf":
        raise ValueError(
            f"labels are {labels.dtype.name}{list(labels.shape)}; the metric takes [n, g, 5] of x1, y1, x2, y2, class, "
            "with class -1 in empty rows"
        )
    return labels[..., :4].astype(np.float64), np.rint(labels[..., 4]).astype(np.int64)


def _filled(array: Rows, value: float) -> Array:
    """Return an array of samples of mixed sizes as one of the largest size, filled up with a value."""
    if not isinstance(array, RaggedArray):
        return np.asarray(array)
    filled = np.full(array.shape, value, array.dtype)
    for row, sample in zip(filled, array):
        row[tuple(map(slice, sample.shape))] = sample
    return filled


def overlaps(own: Array, right: Array) -> Array:
    """Compute the intersection over union of boxes [d, 4] with right ones [g, 4], as [d, g]."""
    low = np.maximum(own[:, None, :2], right[None, :, :2])
    high = np.minimum(own[:, None, 2:], right[None, :, 2:])
    both = np.prod(np.maximum(high - low, 0), axis=-1)
    area = [np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=-1) for boxes in (own, right)]
    union = area[0][:, None] + area[1][None, :] - both
    overlap: Array = np.divide(both, union, out=np.zeros_like(both), where=union > 0)
    return overlap
