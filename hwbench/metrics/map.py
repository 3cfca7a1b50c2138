"""Mean average precision of a detector, as COCO defines it: AP at IoU 0.50 to 0.95, of all areas, 100 boxes per class.

The rules are those of pycocotools' COCOeval (Lin et al. 2014, Microsoft COCO), without its regions of crowds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwbench.metrics._boxes import detections, overlaps, truths
from runtimes.sample_arrays import Rows
from runtimes.tensors import Array

HIGHER_IS_BETTER = True
BOUNDS = (0.0, 1.0)

_OVERLAPS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0, 1, 101)
_MOST = 100  # boxes of one class in one image


def score(outputs: Mapping[str, Rows], labels: Rows) -> float:
    """Score boxes by one number in [0, 1].

    Args:
        outputs: `boxes` [n, d, 4], `scores` [n, d] and `classes` or `labels` [n, d]; or one output [n, d, 6], of which
            a row is x1, y1, x2, y2, score, class. Rows with a score of 0 or less are empty.
        labels: [n, g, 5], of which a row is x1, y1, x2, y2, class; rows with a negative class are empty.

    Raises:
        ValueError: the shapes do not fit, or no label holds a box.
    """
    return combine(reduce(outputs, labels))


def reduce(outputs: Mapping[str, Rows], labels: Rows) -> dict[str, Array]:
    """Match boxes image by image, since resampling images matches none anew.

    Returns:
        `score` [n, d], `class` [n, d] (-1 for an empty row) and `match` [n, d, 10] of the boxes: whether one is matched
        at each IoU; and `truths` [n, classes], the numbers of right boxes.
    """
    boxes, scores, classes = detections(outputs, len(labels))
    right, right_classes = truths(labels)
    match = np.zeros((*scores.shape, len(_OVERLAPS)), bool)
    numbers = np.zeros((len(labels), int(right_classes.max(initial=0)) + 1), np.int64)
    counted = np.full(scores.shape, -1, np.int64)
    for image in range(len(labels)):
        for number in np.unique(right_classes[image][right_classes[image] >= 0]):
            numbers[image, number] = (right_classes[image] == number).sum()
        for number in np.unique(classes[image][classes[image] >= 0]):
            found = np.flatnonzero(classes[image] == number)
            found = found[np.argsort(-scores[image][found], kind="stable")][:_MOST]
            counted[image, found] = number
            wanted = right[image][right_classes[image] == number]
            match[image, found] = _matches(overlaps(boxes[image][found], wanted))
    return {"score": scores, "class": counted, "match": match, "truths": numbers}


def combine(reduced: Mapping[str, Array]) -> float:
    """Average the precision over classes that occur in the labels, IoUs and recalls."""
    totals = reduced["truths"].sum(axis=0)
    if not totals.any():
        raise ValueError("the labels hold no box")
    scores, classes = reduced["score"].reshape(-1), reduced["class"].reshape(-1)
    match = reduced["match"].reshape(-1, len(_OVERLAPS))
    order = np.lexsort((-scores, classes))  # by class, the surest first
    occurring = np.flatnonzero(totals)
    start, end = (np.searchsorted(classes[order], occurring, side) for side in ("left", "right"))
    found = (match[order[a:b]] for a, b in zip(start, end))
    return float(np.mean([_average(own, totals[number]) for own, number in zip(found, occurring)]))


def _matches(overlap: Array) -> Array:
    """Match boxes, the surest first, each to the free right box that it overlaps most.

    Args:
        overlap: IoU of each box with each right one, [d, g].

    Returns:
        Whether each box is matched at each of the IoUs, [d, 10].
    """
    match = np.zeros((len(overlap), len(_OVERLAPS)), bool)
    for level, least in enumerate(_OVERLAPS):
        free = np.ones(overlap.shape[1], bool)
        for box, row in enumerate(overlap):
            able = np.flatnonzero(free & (row >= min(least, 1 - 1e-10)))
            if len(able):
                best = able[len(able) - 1 - row[able][::-1].argmax()]  # the last of equal ones, as COCOeval takes it
                free[best], match[box, level] = False, True
    return match


def _average(match: Array, total: int) -> float:
    """Average the precision of one class over recalls and IoUs; its boxes are ordered by score."""
    if not len(match):
        return 0.0
    found = match.cumsum(axis=0)
    precision = found / np.arange(1, len(match) + 1)[:, None]
    precision = np.maximum.accumulate(precision[::-1])[::-1]  # the best at this recall or a larger one
    reached = [np.searchsorted(recall, _RECALLS, side="left") for recall in (found / total).T]
    padded = np.vstack([precision, np.zeros(len(_OVERLAPS))])
    return float(np.mean([padded[index, level] for level, index in enumerate(reached)]))
