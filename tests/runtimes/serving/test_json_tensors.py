"""Values in JSON: what NumPy would make of them, or a refusal; and bounds of their length that hold."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from runtimes.errors import UsageError
from runtimes.serving.json_tensors import from_json, longest_value

DTYPES = [
    "bool",
    "float16",
    "float32",
    "float64",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
]
TENSORS = st.sampled_from(DTYPES).flatmap(
    lambda name: arrays.arrays(name, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)


@given(TENSORS, st.booleans())
def test_values_come_back_flat_and_nested_and_are_no_longer_than_said(array: np.ndarray, nested: bool) -> None:
    data = array.tolist() if nested and array.ndim and array.size else array.reshape(-1).tolist()
    read = from_json(json.loads(json.dumps(data)), array.dtype, array.shape, array.size, "x")
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)
    assert len(json.dumps(array.reshape(-1).tolist())) <= 2 + array.size * longest_value(array.dtype.name)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just(10**600) | st.just({}),
    lambda inner: st.lists(inner, max_size=4),
)


@given(VALUES, st.sampled_from(DTYPES), st.lists(st.integers(0, 3), max_size=3))
def test_other_values_are_refused(data: object, dtype: str, shape: list[int]) -> None:
    try:
        read = from_json(data, np.dtype(dtype), shape, math.prod(shape), "x")
    except UsageError:
        return
    assert read.shape == tuple(shape)
    flat = np.asarray(data).reshape(-1)
    np.testing.assert_array_equal(read.reshape(-1), flat.astype(dtype))


@pytest.mark.parametrize(
    ("data", "dtype", "reason"),
    [
        (["a" * 10**6, *"b" * 10**6], "float32", "it holds str"),  # NumPy would take 4 TB
        ([[1, 2], [3]], "float32", "different lengths"),
        ([[1, 2], 3], "float32", "different lengths"),
        ("1" * 10**6, "float32", "no list"),
        ([1, True], "float32", "it holds bool"),
        ([70_000.0, 0], "float16", "overflow"),
        ([-1, 0], "uint64", "do not fit"),
        ([2**63, 0], "int64", "do not fit"),
        ([10**600, 0], "float64", "too large"),
    ],
)
def test_values_that_do_not_fit(data: object, dtype: str, reason: str) -> None:
    count = len(data) if isinstance(data, list) and len(data) > 2 else 2
    with pytest.raises(UsageError, match=rf"Input 'x' holds no `data` for {dtype}.*{reason}"):
        from_json(data, np.dtype(dtype), [count], count, "x")
