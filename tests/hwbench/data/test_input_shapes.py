"""Sizes that a model is timed at: how they are written, and samples that are brought to them."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from hwbench.data import input_shapes
from runtimes.errors import UsageError
from runtimes.tensors import TensorSpec

SPECS = (TensorSpec("tokens", "int64", ("N", "L")), TensorSpec("mask", "float32", ("N", "L", 2)))


@pytest.mark.parametrize(
    "text", ["tokens", "tokens=", "tokens=1xL", "=1x2", "tokens=0x4", "tokens=1x-4", "L=" + "9" * 5_000]
)
def test_what_is_no_shape_is_refused(text):
    with pytest.raises(UsageError, match="write an input and its sizes, as in tokens=1x64"):
        input_shapes.parse_shape(text)


def test_a_shape_or_a_dimension_gives_the_sizes_of_all_inputs():
    assert input_shapes.sizes_of([input_shapes.parse_shape("tokens=1x64")], SPECS) == {"N": 1, "L": 64}
    assert input_shapes.sizes_of(
        [input_shapes.parse_shape("L=64"), input_shapes.parse_shape("mask=2x64x2")], SPECS
    ) == {"N": 2, "L": 64}


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["words=1x64"], "names no input and no dynamic dimension"),
        (["L=1x64"], "names no input and no dynamic dimension"),
        (["tokens=64"], "does not fit the model's input tokens=int64[N,L]"),
        (["mask=1x64x3"], "does not fit the model's input mask=float32[N,L,2]"),
        (["tokens=1x64", "mask=1x32x2"], "gives L the size 32, and another 64"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(texts, told):
    with pytest.raises(UsageError, match=re.escape(told)):
        input_shapes.sizes_of([input_shapes.parse_shape(text) for text in texts], SPECS)


def test_samples_are_cut_or_repeated_and_keep_their_values():
    tokens = np.array([[5, 6, 7], [8, 9, 10]])
    found = input_shapes.resized(SPECS, {"tokens": tokens, "mask": np.ones((2, 3, 2), np.float32)}, {"L": 5})
    assert found["tokens"].tolist() == [[[5, 6, 7, 5, 6]], [[8, 9, 10, 8, 9]]]
    assert found["mask"].shape == (2, 1, 5, 2)
    cut = input_shapes.resized(SPECS, {"tokens": tokens, "mask": np.ones((2, 3, 2), np.float32)}, {"N": 2, "L": 1})
    assert cut["tokens"].tolist() == [[[5], [5]], [[8], [8]]]
    assert (input_shapes.batch_of(SPECS, {"N": 2}), input_shapes.batch_of(SPECS, {"L": 2})) == (2, 1)


def test_the_shapes_of_blocks_are_told(make_block):
    short, long = ({"tokens": (1, size), "mask": (1, size, 2)} for size in (16, 64))
    one, two = (dataclasses.replace(make_block([1.0]), shapes=shapes) for shapes in ((short,), (short, long)))
    assert input_shapes.timed_at(SPECS, [one]) == {"N": (1,), "L": (16,)}
    assert input_shapes.timed_at(SPECS, [one, two])["L"] == (16, 64)
    assert input_shapes.shapes_text(SPECS, [one]) == "tokens=1x16, mask=1x16x2"
    assert input_shapes.shapes_text(SPECS[:1], [two]) == "tokens=1x16 to 1x64 (2 sizes)"
    assert input_shapes.shapes_text((TensorSpec("tokens", "int64", (1, 16)),), [one]) == ""
