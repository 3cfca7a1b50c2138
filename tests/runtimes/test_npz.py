"""Reading .npz that may hold anything, and writing them."""

from __future__ import annotations

import contextlib
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes import npz
from runtimes.errors import UsageError
from runtimes.tensors import Array

DTYPES = st.sampled_from(["float32", "float16", "int64", "uint8", "bool"])
NAMES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=8)
ARRAYS = st.builds(lambda shape, dtype: np.ones(shape, dtype), st.lists(st.integers(0, 3), max_size=3), DTYPES)


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
    with pytest.raises(UsageError, match=r"'readme.txt' is not an array"):
        npz.read(zipped(path, readme_txt=b"hello"))


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.array([{"b": 1}], object), allow_pickle=True)
    with pytest.raises(UsageError, match="Object arrays cannot be loaded when allow_pickle=False"):
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
