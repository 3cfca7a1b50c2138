from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from hwbench.formats.charts.label_placement import Labels, Point


def place(points, **limits):
    axes = Figure(figsize=(400 / 72, 330 / 72), dpi=72).add_axes((0.13, 0.15, 0.84, 0.75))
    axes.set_xlim(10, 40)
    axes.set_ylim(0.93, 1.0)
    labels = Labels(axes)
    labels.keep_free(points)
    labels.name(points)
    for name, value in limits.items():
        labels.name_limit(f"{name}<=limit", **{name: value})
    return axes, labels.boxes


def overlaps(a, b):
    return min(a.x1, b.x1) - max(a.x0, b.x0) > 0.1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.1


def point(number, x, y, error=0.005):
    return Point(f"int8-dynamic-{number}", x, y, (x - 0.2, x + 0.2, y - error, y + error), "#000000", number == 0)


@pytest.mark.parametrize("x", [10.5, 25.0, 39.5])
@pytest.mark.parametrize("y", [0.935, 0.97, 0.995])
def test_labels_of_a_cluster_lie_apart_inside_the_axes(x, y):
    axes, boxes = place([point(number, x + number / 10, y) for number in range(5)])
    assert not any(overlaps(a, b) for a, b in itertools.combinations(boxes, 2))
    inside = axes.get_window_extent()
    assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 for box in boxes)
    assert all(inside.y0 <= box.y0 and box.y1 <= inside.y1 for box in boxes)


@settings(max_examples=25, deadline=None)
@example([(14.0, 0.970703125), (27.0, 0.970703125)])
@given(st.lists(st.tuples(st.floats(10.5, 39.5), st.floats(0.935, 0.995)), min_size=2, max_size=6))
def test_labels_never_cover_each_other(places):
    _, boxes = place([point(number, x, y) for number, (x, y) in enumerate(places)], x=20.0, y=0.97)
    assert len(boxes) == len(places) + 2
    assert not any(overlaps(a, b) for a, b in itertools.combinations(boxes, 2))
