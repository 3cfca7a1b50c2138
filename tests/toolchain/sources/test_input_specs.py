"""Input specs as people write them, and example arrays for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.errors import UsageError
from runtimes.tensors import TensorSpec
from toolchain.sources.input_specs import DTYPES, example_samples, example_sequences, parse_input, parse_states

_names = st.text(min_size=1, max_size=4).map(lambda text: text.replace("=", "").strip() or "x")
_dims = st.integers(min_value=1, max_value=9999) | st.sampled_from(["N", "batch_size", "T1", "größe"])
_specs = st.builds(TensorSpec, _names, st.sampled_from(DTYPES), st.lists(_dims, max_size=5).map(tuple))


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("image=float32[N,3,224,224]", TensorSpec("image", "float32", ("N", 3, 224, 224))),
        (" tokens = int64[N, T] ".replace(" = ", "="), TensorSpec("tokens", "int64", ("N", "T"))),
        ("serving_default_x:0=uint8[1,28,28]", TensorSpec("serving_default_x:0", "uint8", (1, 28, 28))),
        ("scale=float32[]", TensorSpec("scale", "float32", ())),
        ("x=bool[batch_size,8]", TensorSpec("x", "bool", ("batch_size", 8))),
    ],
)
def test_reads_what_the_help_shows(text, spec):
    assert parse_input(text) == spec


@given(_specs)
def test_reads_back_what_a_spec_prints(spec):
    assert parse_input(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read; write it like image=float32"),
        ("image", "cannot be read; write it like image=float32"),
        ("float32[N,3]", "cannot be read"),
        ("image=float32", "cannot be read"),
        ("image=float32[N,3", "cannot be read"),
        ("image=float32(N,3)", "cannot be read"),
        ("image=float[N,3]", "unknown dtype 'float'; choose from float32, "),
        ("image=bfloat16[N,3]", "unknown dtype 'bfloat16'"),
        ("image=float32[N,-1]", "'-1' is no dimension; give a number above zero, or a name like N"),
        ("image=float32[0,3]", "'0' is no dimension"),
        ("image=float32[N,2.5]", r"'2\.5' is no dimension"),
        ("image=float32[N,3x]", "'3x' is no dimension"),
    ],
)
def test_says_what_is_wrong_and_what_would_be_right(text, words):
    with pytest.raises(UsageError, match=f"^Input '.*{words}"):
        parse_input(text)


@given(st.text("abfloat32int[]=,N -", max_size=20))
def test_any_text_is_a_spec_or_a_usage_error(text):
    try:
        spec = parse_input(text)
    except UsageError:
        return
    assert spec.name
    assert spec.dtype in DTYPES


@given(st.lists(_specs, max_size=2, unique_by=lambda spec: spec.name), st.integers(min_value=1, max_value=3))
def test_examples_fit_their_specs_and_are_the_same_each_time(specs, n):
    small = [TensorSpec(s.name, s.dtype, tuple(d if isinstance(d, str) else d % 5 + 1 for d in s.shape)) for s in specs]
    arrays = example_samples(small, n)
    assert list(arrays) == [spec.name for spec in small]
    batches = {spec.shape[0] for spec in small if spec.shape}
    for spec in small:
        batched = bool(spec.shape) and isinstance(spec.shape[0], str)
        tail = spec.shape[1:] if batched else spec.shape
        assert arrays[spec.name].dtype.name == spec.dtype
        sizes = (size if isinstance(size, int) else 1 if size in batches else 8 for size in tail)
        assert arrays[spec.name].shape == (n, *sizes)
    again = example_samples(small, n)
    assert all(np.array_equal(array, again[name]) for name, array in arrays.items())


def test_integers_stay_small_enough_to_index_any_embedding():
    values = example_samples([TensorSpec("tokens", "int64", ("N", 50))], 20)["tokens"]
    assert (values.min(), values.max()) == (0, 1)


def test_a_batch_that_another_input_names_is_one_wherever_it_stands():
    specs = (TensorSpec("x", "float32", ("batch", 4)), TensorSpec("state", "float32", (2, "batch", 3)))
    made = example_samples(specs, 5)
    assert (made["x"].shape, made["state"].shape) == ((5, 4), (5, 2, 1, 3))


def test_states_are_outputs_by_the_inputs_that_take_them():
    assert parse_states(["present.0=past.0", " next = hidden "]) == {"past.0": "present.0", "hidden": "next"}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["present"], "write it as OUTPUT=INPUT, like present=past"),
        (["=past"], "write it as OUTPUT=INPUT"),
        (["a=past", "b=past"], "the input 'past' takes the output 'a' already"),
    ],
)
def test_a_state_that_cannot_be_read_is_named(texts, words):
    with pytest.raises(UsageError, match=words):
        parse_states(texts)


def test_random_sequences_are_samples_and_steps():
    drawn = example_sequences([TensorSpec("x", "float32", ("N", 3))], 4, 7)
    assert drawn["x"].shape == (4, 7, 3)
