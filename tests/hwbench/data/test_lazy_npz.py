"""Arrays read from disk sample by sample are the arrays that NumPy reads whole."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwbench.data.lazy_npz import NpzArray, open_arrays
from runtimes.errors import UsageError

SAVE = {"stored": np.savez, "deflated": np.savez_compressed}
arrays = hnp.arrays(
    st.sampled_from(["float32", "int64", "bool", "uint8", ">f4", "float16"]),
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6),
)


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(array=arrays, data=st.data())
def test_any_sample_in_any_order_is_numpys(save, tmp_path, array, data):
    save(tmp_path / "x.npz", x=array)
    found = open_arrays(tmp_path / "x.npz")["x"]
    assert (found.shape, found.ndim, found.size, len(found)) == (array.shape, array.ndim, array.size, len(array))
    assert found.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found[:], array)
    for sample, expected in zip(found, array):
        np.testing.assert_array_equal(sample, expected)
    picked = data.draw(st.lists(st.integers(-len(array), len(array) - 1), max_size=5)) if len(array) else []
    np.testing.assert_array_equal(found[picked], array[np.array(picked, int)])
    for row in picked:
        np.testing.assert_array_equal(found[row], array[row])
    cut = data.draw(st.slices(len(array)))
    np.testing.assert_array_equal(found[cut], array[cut])


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
def test_memory_is_that_of_a_sample(save, tmp_path):
    save(tmp_path / "x.npz", x=np.random.default_rng(0).standard_normal((64, 1 << 15)).astype(np.float32))
    tracemalloc.start()
    try:
        total = sum(float(sample.sum()) for sample in open_arrays(tmp_path / "x.npz")["x"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.isfinite(total)
    assert peak < 16 * (1 << 17)  # of 64 samples of 128 KiB


def test_column_major_and_scalar_arrays_are_read_whole(tmp_path):
    column = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    np.savez(tmp_path / "x.npz", column=column, scalar=np.int64(3))
    found = open_arrays(tmp_path / "x.npz")
    np.testing.assert_array_equal(found["column"][1], column[1])
    assert found["scalar"].shape == ()
    assert not any(isinstance(array, NpzArray) for array in found.values())


def test_one_beyond_the_last_is_an_index_error(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 2)))
    with pytest.raises(IndexError):
        open_arrays(tmp_path / "x.npz")["x"][3]


def test_a_file_that_goes_away_is_told(tmp_path):
    path = Path(tmp_path, "x.npz")
    np.savez(path, x=np.zeros((3, 2)))
    found = open_arrays(path)["x"]
    path.unlink()
    with pytest.raises(UsageError, match=r"x.npz' cannot be read as an .npz of plain arrays"):
        found[0]
