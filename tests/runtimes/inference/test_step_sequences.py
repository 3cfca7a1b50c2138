"""Sequences are cut into steps, and the outputs of steps joined again, whatever their lengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.errors import FeedError
from runtimes.inference.step_sequences import count, gather, run_sequences, sequences
from runtimes.inference.stream import Stream
from runtimes.sample_arrays import RaggedArray, Rows, stack
from runtimes.tensors import Array, Feeds, TensorSpec

INPUTS = (TensorSpec("x", "float32", ("N", 2)), TensorSpec("total", "float32", ("N", 2)))
OUTPUTS = (TensorSpec("sum", "float32", ("N", 2)), TensorSpec("next", "float32", ("N", 2)))
STATES = {"total": "next"}


def add(feeds: Feeds) -> dict[str, Array]:
    """A running sum, of which the output is twice the state."""
    total = feeds["x"] + feeds["total"]
    return {"sum": 2 * total, "next": total}


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    has_batch=st.booleans(),
    is_given=st.booleans(),
    seed=st.integers(0, 99),
)
def test_outputs_are_those_of_each_sequence(lengths: list[int], has_batch: bool, is_given: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = [rng.standard_normal((length, 2)).astype(np.float32) for length in lengths]
    initial = rng.standard_normal((len(lengths), 2)).astype(np.float32) * is_given
    arrays: dict[str, Rows] = {"x": stack([x[:, None] if has_batch else x for x in found])}
    arrays |= {"total": initial} if is_given else {}
    assert count(INPUTS, STATES, arrays) == len(lengths)
    outputs = run_sequences(Stream(add, INPUTS, OUTPUTS, STATES), sequences(INPUTS, STATES, arrays))
    assert list(outputs) == ["sum"]
    for seen, x, before in zip(outputs["sum"], found, initial):
        np.testing.assert_allclose(seen, 2 * (before + x.cumsum(axis=0)), rtol=1e-5, atol=1e-5)
    assert isinstance(outputs["sum"], RaggedArray) == (len(set(lengths)) > 1)


def test_an_output_that_grows_within_a_sequence_is_filled_up() -> None:
    steps = [[{"w": np.ones((1, n + 1), np.float32)} for n in range(length)] for length in (3, 2)]
    (first, second) = gather(steps)["w"]
    np.testing.assert_array_equal(first, np.tri(3))
    np.testing.assert_array_equal(second, np.tri(2))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, "no array for the input 'x'"),
        ({"x": np.zeros((3, 2), np.float32)}, "first axis must be the sequences, and its second their steps"),
        ({"x": np.zeros((3, 4, 2)), "total": np.zeros(3)}, "first axis must be the sequences."),
        ({"x": np.zeros((3, 4, 2)), "total": np.zeros((2, 2))}, "x has 3, total has 2"),
        ({"x": np.zeros((3, 0, 2))}, "Sequence 0 has no steps"),
    ],
)
def test_arrays_that_are_no_sequences_are_refused(arrays: dict[str, Rows], words: str) -> None:
    with pytest.raises(FeedError, match=words.replace(".", r"\.")):
        list(sequences(INPUTS, STATES, arrays))


def test_inputs_of_one_sequence_have_equal_numbers_of_steps() -> None:
    inputs = (*INPUTS, TensorSpec("y", "float32", ("N",)))
    with pytest.raises(FeedError, match="sequence 0 hold different numbers of steps: x has 4, y has 5"):
        list(sequences(inputs, STATES, {"x": np.zeros((3, 4, 2)), "y": np.zeros((3, 5))}))


def test_a_fixed_batch_needs_its_axis() -> None:
    inputs = (TensorSpec("x", "float32", (4, 2)), TensorSpec("total", "float32", (4, 2)))
    with pytest.raises(FeedError, match=r"batch is fixed at 4, .* has no axis for it"):
        count(inputs, STATES, {"x": np.zeros((3, 5, 2))})
    assert count(inputs, STATES, {"x": np.zeros((3, 5, 4, 2))}) == 3
