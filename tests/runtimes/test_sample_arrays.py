"""Samples of mixed sizes: what was joined comes out again, in memory and in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from runtimes import npz
from runtimes.errors import FeedError, UsageError
from runtimes.sample_arrays import RaggedArray, flat, stack
from runtimes.tensors import Array

SHAPES = st.integers(0, 3).flatmap(
    lambda axes: st.lists(st.tuples(*[st.integers(0, 4)] * axes), min_size=1, max_size=5)
)


def numbered(shapes: list[tuple[int, ...]]) -> list[Array]:
    return [np.arange(1, 1 + int(np.prod(shape)), dtype=np.float32).reshape(shape) for shape in shapes]


@given(SHAPES)
def test_samples_come_out_as_they_went_in(shapes: list[tuple[int, ...]]) -> None:
    samples = numbered(shapes)
    joined = stack(samples)
    assert isinstance(joined, RaggedArray) == (len(set(shapes)) > 1)
    for sample, found in zip(samples, joined, strict=True):
        np.testing.assert_array_equal(sample, found)
    np.testing.assert_array_equal(flat(joined), np.concatenate([sample.reshape(-1) for sample in samples]))
    assert joined.size == sum(sample.size for sample in samples)


@given(SHAPES, st.data())
def test_some_of_them_are_still_of_mixed_sizes(shapes: list[tuple[int, ...]], data: st.DataObject) -> None:
    samples = numbered(shapes)
    rows = data.draw(arrays.arrays(np.int64, st.integers(0, 6), elements=st.integers(0, len(samples) - 1)))
    for picked, row in zip(stack(samples)[rows], rows, strict=True):
        np.testing.assert_array_equal(picked, samples[row])


def test_a_file_holds_them(tmp_path: Path) -> None:
    samples = numbered([(2, 3), (4, 1), (0, 3)])
    npz.write(tmp_path / "x.npz", {"x": stack(samples), "labels": np.arange(3)})
    assert sorted(np.load(tmp_path / "x.npz")) == ["labels", "x", "x.shape"]
    for read in (npz.read, npz.open_arrays):
        found = read(tmp_path / "x.npz")
        assert list(found) == ["x", "labels"]
        for sample, again in zip(samples, found["x"], strict=True):
            np.testing.assert_array_equal(sample, again)


@pytest.mark.parametrize(
    ("shapes", "why"),
    [
        (np.ones((2, 2)), r"its shapes are float64\[2, 2\]; expected integers of \[2, 2\]"),
        (np.ones((3, 2), int), r"its shapes are int64\[3, 2\]; expected integers of \[2, 2\]"),
        (np.array([[3, 4], [3, 5]]), r"a sample's shape is negative or exceeds the padded array's, \[3, 4\]"),
        (np.array([[3, 4], [-1, 4]]), "a sample's shape is negative"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes: Array, why: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **{"x": np.ones((2, 3, 4)), "x.shape": shapes})
    with pytest.raises(UsageError, match=f"'x.shape' does not give the shapes of the samples in 'x': {why}"):
        npz.read(tmp_path / "x.npz")


def test_they_make_no_array() -> None:
    with pytest.raises(ValueError, match=r"mixed sizes \(\[1\], \[2\]\); take them one by one"):
        np.asarray(stack(numbered([(1,), (2,)])))
    with pytest.raises(FeedError, match=r"differ in their number of axes: \[1\], \[1, 1\]"):
        stack(numbered([(1,), (1, 1)]))
