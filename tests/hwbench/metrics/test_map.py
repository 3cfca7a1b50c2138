"""Mean average precision against torchmetrics' documented example, and cases by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwbench import metrics
from runtimes.sample_arrays import stack


def _score(rows, labels):
    return metrics.load("map").score({"y": np.array(rows, np.float32)}, np.array(labels, np.float32))


def test_the_example_of_torchmetrics():
    assert _score([[[258, 41, 606, 285, 0.536, 0]]], [[[214, 41, 562, 285, 0]]]) == pytest.approx(0.6)


def test_a_box_counts_up_to_its_overlap():
    # 10 x 10 pixels, of which 7.2 x 10 are covered: IoU 0.72 reaches five of the ten levels.
    assert _score([[[0, 0, 7.2, 10, 0.9, 1]]], [[[0, 0, 10, 10, 1]]]) == pytest.approx(0.5)


def test_precision_falls_behind_a_surer_box_that_is_wrong():
    right, wrong = [0, 0, 10, 10], [50, 50, 60, 60]
    assert _score([[[*right, 0.9, 0], [*wrong, 0.5, 0]]], [[[*right, 0]]]) == pytest.approx(1)
    assert _score([[[*right, 0.5, 0], [*wrong, 0.9, 0]]], [[[*right, 0]]]) == pytest.approx(0.5)


def test_recall_counts_boxes_that_were_not_found():
    box, other = [0, 0, 10, 10], [50, 50, 60, 60]
    # Half of the boxes are found, which is recall 0.00 to 0.50: 51 of 101 levels.
    assert _score([[[*box, 0.9, 0]]], [[[*box, 0], [*other, 0]]]) == pytest.approx(51 / 101)


def test_a_right_box_is_found_once():
    box = [0, 0, 10, 10]
    assert _score([[[*box, 0.9, 0], [*box, 0.8, 0]]], [[[*box, 0], [60, 60, 70, 70, 0]]]) == pytest.approx(51 / 101)


def test_classes_are_averaged_and_ranked_across_images():
    box = [0, 0, 10, 10]
    labels = [[[*box, 0], [*box, 1]], [[*box, 0], [0, 0, 0, 0, -1]]]
    found = [[[*box, 0.9, 0], [*box, 0.9, 2]], [[*box, 0.4, 0], [0, 0, 0, 0, 0, 0]]]
    assert _score(found, labels) == pytest.approx(0.5)  # class 0 is perfect, class 1 not found, class 2 in no label
    found[1][0][:4] = [80, 80, 90, 90]
    assert _score(found, labels) == pytest.approx(51 / 101 / 2)


def test_at_most_100_boxes_of_a_class_count_in_an_image():
    box = [0, 0, 10, 10]
    others = [[200, 200, 210, 210, 0.9, 0]] * 100
    assert _score([[*others[:99], [*box, 0.5, 0]]], [[[*box, 0]]]) == pytest.approx(0.01)
    assert _score([[*others, [*box, 0.5, 0]]], [[[*box, 0]]]) == 0


@pytest.mark.parametrize("name", ["classes", "labels"])
def test_outputs_may_be_three(name):
    outputs = {
        name: np.array([[0, 3]]),
        "scores": np.array([[0.9, 0.0]], np.float32),
        "boxes": np.array([[[0, 0, 7.2, 10], [np.nan] * 4]], np.float32),
    }
    assert metrics.load("map").score(outputs, np.array([[[0, 0, 10, 10, 0]]])) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("outputs", "labels", "words"),
    [
        (
            {"y": np.zeros((1, 3, 5))},
            np.zeros((1, 2, 5)),
            r"the outputs are y \[1, 3, 5\]; the metric takes outputs named",
        ),
        ({"boxes": np.zeros((1, 3, 4))}, np.zeros((1, 2, 5)), "the outputs are boxes"),
        (
            {"boxes": np.zeros((1, 3, 4)), "scores": np.zeros((1, 4)), "labels": np.zeros((1, 3))},
            np.zeros((1, 2, 5)),
            r"scores \[1, 4\]",
        ),
        (
            {"y": np.zeros((1, 3, 6))},
            np.zeros((1, 2, 4)),
            r"labels are float64\[1, 2, 4\]; the metric takes \[n, g, 5\]",
        ),
        ({"y": np.zeros((1, 3, 6))}, -np.ones((1, 2, 5)), "the labels hold no box"),
    ],
)
def test_what_are_no_boxes_is_told(outputs, labels, words):
    with pytest.raises(ValueError, match=words):
        metrics.load("map").score(outputs, labels)


def test_images_with_more_boxes_than_others():
    """A detector of images of mixed sizes, or one that suppresses boxes, has as many rows as it finds."""
    one, two = [0, 0, 10, 10], [50, 50, 60, 60]
    found = [[[*one, 0.9, 0]], [[*one, 0.8, 0], [*two, 0.7, 1], [80, 80, 90, 90, 0.1, 2]], [[*two, 0.6, 1]]]
    labels = [[[*one, 0]], [[*one, 0], [*two, 1]], [[*two, 1], [0, 0, 5, 5, 0], [9, 9, 20, 20, 1]]]
    padded = [rows + [[0.0] * 6] * (3 - len(rows)) for rows in found]
    filled = [rows + [[0.0] * 4 + [-1]] * (3 - len(rows)) for rows in labels]
    mixed = [stack([np.array(rows, np.float32) for rows in samples]) for samples in (found, labels)]
    assert 0 < _score(padded, filled) < 1
    assert metrics.load("map").score({"y": mixed[0]}, mixed[1]) == pytest.approx(_score(padded, filled))
