"""States are checked against the model, and begin as zeros of the right size."""

from __future__ import annotations

import numpy as np
import pytest

from runtimes.bundles.states import fault, first_state
from runtimes.tensors import TensorSpec

INPUTS = (
    TensorSpec("token", "int64", ("N", 1)),
    TensorSpec("past", "float32", ("N", 4, "P", 8)),
    TensorSpec("hidden", "float32", (2, "N", 16)),
)
OUTPUTS = (
    TensorSpec("scores", "float32", ("N", 40)),
    TensorSpec("present", "float32", ("N", 4, "P + 1", 8)),
    TensorSpec("next", "float32", (2, "N", 16)),
    TensorSpec("half", "float16", ("N", 4, "P + 1", 8)),
    TensorSpec("wide", "float32", ("N", 4, "P + 1", 16)),
)
STATES = {"past": "present", "hidden": "next"}


def test_states_that_fit_have_no_fault() -> None:
    assert fault(STATES, INPUTS, OUTPUTS) is None
    assert fault({}, INPUTS, OUTPUTS) is None


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ({"past": "presents"}, "state presents=past: the model has no output 'presents', only scores, present,"),
        ({"pasts": "present"}, "state present=pasts: the model has no input 'pasts', only token, past, hidden"),
        ({"past": "half"}, "the output is float16, and the input takes float32"),
        ({"past": "scores"}, "differ in their number of axes"),
        ({"past": "wide"}, "differ in axis 3"),
    ],
)
def test_each_mistake_is_named(states: dict[str, str], words: str) -> None:
    assert words in str(fault(states, INPUTS, OUTPUTS))


def test_a_step_takes_and_returns_something() -> None:
    assert "every input is a state" in str(fault({"past": "present"}, INPUTS[1:2], OUTPUTS))
    assert "every output is a state" in str(fault({"past": "present"}, INPUTS, OUTPUTS[1:2]))


def test_a_cache_begins_empty_and_a_cell_with_zeros() -> None:
    state = first_state(INPUTS, STATES, {"N": 3}, {})
    assert {name: array.shape for name, array in state.items()} == {"past": (3, 4, 0, 8), "hidden": (2, 3, 16)}
    assert all(array.dtype == np.float32 and not array.any() for array in state.values())


def test_a_batch_that_only_states_have_is_one() -> None:
    inputs = (TensorSpec("x", "float32", (8,)), TensorSpec("past", "float32", ("N", "P", 8)))
    assert first_state(inputs, {"past": "y"}, {}, {})["past"].shape == (1, 0, 8)


def test_given_states_size_the_others() -> None:
    given = {"hidden": np.ones((2, 5, 16), np.float32)}
    state = first_state(INPUTS[1:], STATES, {}, given)
    assert state["hidden"] is given["hidden"]
    assert state["past"].shape == (5, 4, 0, 8)
