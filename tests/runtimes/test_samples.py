"""Cutting arrays into feeds and putting outputs together again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes import samples
from runtimes.errors import FeedError
from runtimes.sample_arrays import RaggedArray, stack
from runtimes.tensors import Array, TensorSpec, check_feeds

SIZES = st.lists(st.integers(1, 3), max_size=3)


def numbers(*shape: int) -> Array:
    return np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)


def cut_and_joined(specs: list[TensorSpec], arrays: dict[str, Array]) -> dict[str, Array]:
    """Run a model that returns its inputs."""
    feeds = list(samples.feeds(specs, arrays))
    for feed in feeds:
        check_feeds(specs, feed)
    return samples.gather(feeds, samples.batch_size(specs, arrays))


@given(st.integers(1, 5), SIZES, SIZES)
def test_a_dynamic_batch_is_fed_one_by_one_and_joined(n: int, a: list[int], b: list[int]) -> None:
    specs = [TensorSpec("a", "float32", ("N", *a)), TensorSpec("b", "float32", ("N", *b))]
    arrays = {"a": numbers(n, *a), "b": numbers(n, *b) + 1000}
    assert [len(feed["a"]) for feed in samples.feeds(specs, arrays)] == [1] * n
    joined = cut_and_joined(specs, arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(joined[name], array)


@given(st.integers(1, 4), st.integers(1, 3), SIZES)
def test_a_fixed_batch_is_fed_whole(runs: int, batch: int, tail: list[int]) -> None:
    specs = [TensorSpec("a", "float32", (batch, *tail))]
    arrays = {"a": numbers(runs * batch, *tail)}
    assert samples.count(specs, arrays) == runs * batch
    assert len(list(samples.feeds(specs, arrays))) == runs
    np.testing.assert_array_equal(cut_and_joined(specs, arrays)["a"], arrays["a"])


@given(st.integers(1, 5), st.integers(2, 4), SIZES)
def test_an_array_with_one_axis_more_is_fed_row_by_row(n: int, first: int, tail: list[int]) -> None:
    specs = [TensorSpec("a", "float32", (first, *tail))]  # its first axis, above 1, cannot be taken for a batch of 1
    arrays = {"a": numbers(n, first, *tail)}
    np.testing.assert_array_equal(cut_and_joined(specs, arrays)["a"], arrays["a"])


def test_scalars_are_fed_as_arrays_without_axes() -> None:
    specs = [TensorSpec("rate", "int64", ())]
    arrays = {"rate": np.array([8, 16])}
    assert [(feed["rate"].shape, int(feed["rate"])) for feed in samples.feeds(specs, arrays)] == [((), 8), ((), 16)]
    np.testing.assert_array_equal(cut_and_joined(specs, arrays)["rate"], [8, 16])


def test_inputs_with_and_without_a_batch_axis_go_together() -> None:
    specs = [TensorSpec("audio", "float32", ("N", 4)), TensorSpec("rate", "float32", ())]
    arrays = {"audio": numbers(3, 4), "rate": numbers(3)}
    feeds = list(samples.feeds(specs, arrays))
    assert [float(feed["rate"]) for feed in feeds] == [0, 1, 2]
    assert [feed["audio"].shape for feed in feeds] == [(1, 4)] * 3


def test_feeds_lie_contiguous_in_memory() -> None:
    array = np.asfortranarray(numbers(3, 4, 5))
    for feed in samples.feeds([TensorSpec("a", "float32", ("N", 4, 5))], {"a": array}):
        assert feed["a"].flags.c_contiguous


def test_no_samples_are_no_feeds() -> None:
    specs = [TensorSpec("a", "float32", ("N", 3))]
    assert samples.count(specs, {"a": numbers(0, 3)}) == 0
    assert list(samples.feeds(specs, {"a": numbers(0, 3)})) == []
    assert samples.gather([], 1) == {}


def test_arrays_that_are_no_inputs_are_left_alone() -> None:
    specs = [TensorSpec("a", "float32", ("N", 3))]
    (feed,) = samples.feeds(specs, {"a": numbers(1, 3), "labels": np.array([1, 2, 3])})
    assert set(feed) == {"a"}


A, B = TensorSpec("a", "float32", ("N", 3)), TensorSpec("b", "float32", ("N", 2))
PAIR = TensorSpec("pair", "float32", (2, 3))


@pytest.mark.parametrize(
    ("specs", "arrays", "message"),
    [
        ([A], {}, "There is no array for the input 'a'; found none."),
        ([A], {"x": numbers(1), "y": numbers(1)}, "There is no array for the input 'a'; found x, y."),
        (
            [A, B],
            {"a": numbers(4, 3), "b": numbers(5, 2)},
            "The arrays hold different numbers of samples: a has 4, b has 5.",
        ),
        (
            [PAIR],
            {"pair": numbers(5, 3)},
            "The model's batch is fixed at 2, but 5 samples are not a multiple of 2; remove the rest.",
        ),
        (
            [A],
            {"a": numbers(3)},
            "Array 'a' has shape [3]; the model takes a=float32[N,3], and the array's first axis must be the samples.",
        ),
        (
            [TensorSpec("a", "float32", ())],
            {"a": numbers()},
            "Array 'a' has shape []; the model takes a=float32[], and the array's first axis must be the samples.",
        ),
        (
            [PAIR, TensorSpec("b", "float32", (5,))],
            {"pair": numbers(4, 3), "b": numbers(4, 5)},
            "The model's batch is fixed at 2, but array 'b' of shape [4, 5] has one axis too many to be cut for "
            "b=float32[5].",
        ),
        (
            [TensorSpec("a", "float32", (0, 3))],
            {"a": numbers(4, 3)},
            "The model's batch is fixed at 0, but 4 samples are not a multiple of 0; remove the rest.",
        ),
    ],
)
def test_arrays_that_do_not_fit(specs: list[TensorSpec], arrays: dict[str, Array], message: str) -> None:
    with pytest.raises(FeedError) as error:
        list(samples.feeds(specs, arrays))
    assert str(error.value) == message


def test_outputs_with_a_batch_axis_are_joined_and_others_stacked() -> None:
    runs = [{"scores": numbers(2, 5), "total": numbers(7)} for _ in range(3)]
    joined = samples.gather(runs, batch=2)
    assert joined["scores"].shape == (6, 5)
    assert joined["total"].shape == (3, 7)


def test_outputs_of_mixed_sizes_keep_them() -> None:
    runs = [{"boxes": numbers(1, count, 4)} for count in (2, 3, 5)]
    joined = samples.gather(runs, batch=1)["boxes"]
    assert isinstance(joined, RaggedArray)
    assert joined.shape == (3, 5, 4)
    for run, boxes in zip(runs, joined):
        np.testing.assert_array_equal(run["boxes"][0], boxes)


def test_outputs_with_another_number_of_axes_cannot_be_joined() -> None:
    with pytest.raises(FeedError) as error:
        samples.gather([{"y": numbers(2, 4)}, {"y": numbers(2)}], batch=1)
    assert str(error.value) == "Output 'y': Samples differ in their number of axes: [2], [2, 4]."


def test_samples_of_mixed_sizes_are_fed_one_by_one_in_their_own_size() -> None:
    array = stack([numbers(size, 3) for size in (2, 5)])
    for spec in (TensorSpec("x", "float32", ("N", "T", 3)), TensorSpec("x", "float32", ("T", 3))):
        fed = [feed["x"] for feed in samples.feeds([spec], {"x": array})]
        assert [feed.shape for feed in fed] == [spec.resolve({"N": 1, "T": size}) for size in (2, 5)]
        for sample, feed in zip(array, fed):
            np.testing.assert_array_equal(feed.reshape(sample.shape), sample)


def test_samples_of_mixed_sizes_cannot_share_a_fixed_batch() -> None:
    array = stack([numbers(size, 3) for size in (2, 2, 5, 2)])
    with pytest.raises(FeedError, match=r"Samples 2 to 3 of 'x' differ in size and share one batch\."):
        list(samples.feeds([TensorSpec("x", "float32", (2, "T", 3))], {"x": array}))
