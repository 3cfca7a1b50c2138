"""Reading .npy that may hold anything."""

from __future__ import annotations

import contextlib
import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from runtimes import npy
from runtimes.tensors import Array


def saved(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


@given(arrays.arrays(arrays.integer_dtypes() | arrays.floating_dtypes(), arrays.array_shapes(min_dims=0, min_side=0)))
def test_what_numpy_saves_is_read(array: Array) -> None:
    for layout in (array, np.asfortranarray(array)):
        read = npy.parse(saved(layout))
        assert (read.dtype, read.shape) == (layout.dtype, layout.shape)
        np.testing.assert_array_equal(read, layout)


@given(st.binary(max_size=100), st.booleans())
def test_random_bytes_are_an_array_or_a_value_error(data: bytes, begins_like_one: bool) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(npy.parse(np.lib.format.magic(1, 0) + data if begins_like_one else data), np.ndarray)


def test_a_header_takes_no_more_memory_than_there_is_data() -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000,), }\n"
    data = np.lib.format.magic(1, 0) + len(header).to_bytes(2, "little") + header + bytes(100)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="declares 400,000,000 bytes of data, and there are 100"):
            npy.parse(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_another_version_of_the_format() -> None:
    with pytest.raises(ValueError, match=r"it is of format 3\.0; 1\.0 and 2\.0 hold plain arrays"):
        npy.parse(np.lib.format.magic(3, 0) + bytes(100))
