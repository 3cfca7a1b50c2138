"""Reading .npz and .npy files that may hold anything, whole or sample by sample, and writing them."""

from __future__ import annotations

import contextlib
import io
import pickle
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runtimes import npz
from runtimes.errors import UsageError
from runtimes.npz import NpzArray, open_arrays
from runtimes.tensors import Array

DTYPES = st.sampled_from(["float32", "float16", "int64", "uint8", "bool"])
NAMES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=8)
ARRAYS = st.builds(lambda shape, dtype: np.ones(shape, dtype), st.lists(st.integers(0, 3), max_size=3), DTYPES)

SAVE = {"stored": np.savez, "deflated": np.savez_compressed}
SAMPLE_ARRAYS = hnp.arrays(
    st.sampled_from(["float32", "int64", "bool", "uint8", ">f4", "float16"]),
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("arrays") / "x.npz"


@given(st.dictionaries(NAMES, ARRAYS, max_size=4))
def test_what_is_written_is_read(path: Path, original: dict[str, Array]) -> None:
    npz.write(path, original)
    read = npz.read(path)
    assert list(read) == list(original)
    for name, array in original.items():
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize("name", ["file", "allow_pickle", "self", "a/b", "args"])
def test_outputs_may_have_any_name(path: Path, name: str) -> None:
    npz.write(path, {name: np.arange(3)})
    with np.load(path) as archive:
        np.testing.assert_array_equal(archive[name], [0, 1, 2])


def test_numpy_s_own_files_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", a=np.eye(3), b=np.array(["text"]))
    read = npz.read(tmp_path / "x.npz")
    np.testing.assert_array_equal(read["a"], np.eye(3))
    assert read["b"][0] == "text"


def test_the_path_is_kept_as_it_is(tmp_path: Path) -> None:
    npz.write(tmp_path / "outputs", {"a": np.eye(2)})
    assert [file.name for file in tmp_path.iterdir()] == ["outputs"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "x.npz"
    npz.write(target, {"a": np.eye(2)})
    with pytest.raises(UsageError, match=r"^Output 'words' is object, which \.npz cannot hold\.$"):
        npz.write(target, {"a": np.eye(3), "words": np.array(["x", None], object)})
    assert npz.read(target)["a"].shape == (2, 2)
    assert [file.name for file in tmp_path.iterdir()] == ["x.npz"]


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written: No such file or directory"):
        npz.write(tmp_path / "no" / "x.npz", {})
    with pytest.raises(UsageError, match="cannot be written: Is a directory"):
        npz.write(tmp_path, {})


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_", "."), data)
    return path


def test_bad_files_are_told_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(UsageError, match=r"^There is no file '.*x\.npz'\.$"):
        npz.read(path)
    with pytest.raises(UsageError, match=r"cannot be read as an .npz of plain arrays: .*directory"):
        npz.read(tmp_path)
    for content in (b"", b"PK\x03\x04 and no more", b"some text", b"\x93NUMPY\x01\x00", pickle.dumps({"a": 1})):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=r"cannot be read as an .npz of plain arrays: ."):
            npz.read(path)
    with path.open("wb") as stream:
        np.save(stream, np.eye(3))
    with pytest.raises(UsageError, match=r"is a single array; save it with np\.savez, named after"):
        npz.read(path)
    with pytest.raises(UsageError, match=r"holds 'readme\.txt', which is not an array"):
        npz.read(zipped(path, readme_txt=b"hello"))


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.array([{"b": 1}], object), allow_pickle=True)
    with pytest.raises(UsageError, match="holds Python objects"):
        npz.read(tmp_path / "x.npz")


@given(st.integers(0, 1000), st.binary(min_size=1, max_size=4))
def test_damaged_files_are_read_or_refused(path: Path, position: int, change: bytes) -> None:
    with path.open("wb") as stream:
        np.savez_compressed(stream, a=np.arange(20), b=np.eye(2))
    content = path.read_bytes()
    position %= len(content)
    path.write_bytes(content[:position] + change + content[position + len(change) :])
    with contextlib.suppress(UsageError):
        assert all(isinstance(array, np.ndarray) for array in npz.read(path).values())


def saved(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


@given(hnp.arrays(hnp.integer_dtypes() | hnp.floating_dtypes(), hnp.array_shapes(min_dims=0, min_side=0)))
def test_what_numpy_saves_is_parsed(array: Array) -> None:
    for layout in (array, np.asfortranarray(array)):
        read = npz.parse_npy(saved(layout))
        assert (read.dtype, read.shape) == (layout.dtype, layout.shape)
        np.testing.assert_array_equal(read, layout)


@given(st.binary(max_size=100), st.booleans())
def test_random_bytes_are_an_array_or_a_value_error(data: bytes, begins_like_one: bool) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(npz.parse_npy(np.lib.format.magic(1, 0) + data if begins_like_one else data), np.ndarray)


def test_a_header_takes_no_more_memory_than_there_is_data() -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000,), }\n"
    data = np.lib.format.magic(1, 0) + len(header).to_bytes(2, "little") + header + bytes(100)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="declares 400,000,000 bytes of data, and there are 100"):
            npz.parse_npy(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_another_version_of_the_format_is_refused() -> None:
    with pytest.raises(ValueError, match=r"it is of format 3\.0; 1\.0 and 2\.0 hold plain arrays"):
        npz.parse_npy(np.lib.format.magic(3, 0) + bytes(100))


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(array=SAMPLE_ARRAYS, data=st.data())
def test_any_sample_in_any_order_is_numpys(save: Any, tmp_path: Path, array: Array, data: st.DataObject) -> None:
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
def test_memory_is_that_of_a_sample(save: Any, tmp_path: Path) -> None:
    save(tmp_path / "x.npz", x=np.random.default_rng(0).standard_normal((64, 1 << 15)).astype(np.float32))
    tracemalloc.start()
    try:
        total = sum(float(sample.sum()) for sample in open_arrays(tmp_path / "x.npz")["x"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.isfinite(total)
    assert peak < 16 * (1 << 17)  # of 64 samples of 128 KiB


def test_column_major_and_scalar_arrays_are_read_whole(tmp_path: Path) -> None:
    column = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    np.savez(tmp_path / "x.npz", column=column, scalar=np.int64(3))
    found = open_arrays(tmp_path / "x.npz")
    np.testing.assert_array_equal(found["column"][1], column[1])
    assert found["scalar"].shape == ()
    assert not any(isinstance(array, NpzArray) for array in found.values())


def test_one_beyond_the_last_is_an_index_error(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 2)))
    with pytest.raises(IndexError):
        open_arrays(tmp_path / "x.npz")["x"][3]


def test_a_file_that_goes_away_is_told(tmp_path: Path) -> None:
    path = Path(tmp_path, "x.npz")
    np.savez(path, x=np.zeros((3, 2)))
    found = open_arrays(path)["x"]
    path.unlink()
    with pytest.raises(UsageError, match=r"no file '.*x\.npz'"):
        found[0]
