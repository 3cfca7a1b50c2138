"""Arrays in .npz and .npy files: read whole, read sample by sample, and written atomically.

Nothing in a file is trusted. A damaged or crafted file is refused before NumPy allocates the memory that its headers
declare, and pickled objects are never loaded.

Samples of mixed sizes are two arrays in a file: `NAME`, padded to the largest sample, and `NAME.shape`, integers of
[samples, axes], the shape of each. They are read and written as one `RaggedArray`.
"""

from __future__ import annotations

import contextlib
import io
import math
import operator
import warnings
import weakref
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from runtimes.errors import UsageError
from runtimes.files import replacing
from runtimes.sample_arrays import RaggedArray, Rows
from runtimes.tensors import Array

SHAPES = ".shape"
"""End of the name of the array that holds the shapes of another's samples."""

_SUFFIX = ".npy"

# Version 3.0 exists for structured types with field names outside Latin-1; models take no such arrays.
_READ_HEADER: dict[tuple[int, int], Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read(path: Path) -> dict[str, Rows]:
    """Read all arrays of an .npz into memory.

    Returns:
        The arrays by name, in the file's order.

    Raises:
        UsageError: the file is missing, damaged, holds pickled objects, or is no .npz.
    """
    with _refusing(path), zipfile.ZipFile(path) as archive:
        return _joined({_name(path, info): _read_member(archive, info) for info in archive.infolist()})


def open_arrays(path: Path) -> dict[str, Rows]:
    """Open the arrays of an .npz; their values stay on disk until they are indexed.

    Arrays that are stored column by column and scalars are read at once, since no sample of them lies in one piece.

    Returns:
        The arrays by name, in the file's order.

    Raises:
        UsageError: the file is missing, is no .npz, or holds pickled objects. Damage to an array's values shows
            only when they are read.
    """
    with _refusing(path), zipfile.ZipFile(path) as archive:
        return _joined({_name(path, info): _open_member(path, archive, info) for info in archive.infolist()})


def write(path: Path, arrays: Mapping[str, Rows]) -> None:
    """Write an .npz atomically.

    Unlike np.savez, it takes arrays of any name ("file" is an argument of np.savez) and adds no suffix to the path.

    Raises:
        UsageError: the path cannot be written, or an array holds objects.
    """
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in _apart(arrays):
            with archive.open(f"{name}{_SUFFIX}", "w", force_zip64=True) as member:
                try:
                    np.lib.format.write_array(member, array, allow_pickle=False)
                except ValueError:
                    raise UsageError(f"Output '{name}' is {array.dtype.name}, which .npz cannot hold.") from None


def parse_npy(data: bytes) -> Array:
    """Read the array in the bytes of one .npy file.

    Raises:
        ValueError: the bytes are no .npy file, are damaged, or hold pickled objects.
    """
    try:
        return _read_array(io.BytesIO(data), len(data))
    except Exception as error:  # as in `_refusing`
        raise ValueError(str(error) or type(error).__name__) from None


def _apart(arrays: Mapping[str, Rows]) -> Iterator[tuple[str, Array]]:
    for name, array in arrays.items():
        if isinstance(array, RaggedArray):
            yield name, array.padded[:]
            yield f"{name}{SHAPES}", array.shapes
        else:
            yield name, array[:] if array.ndim else np.asarray(array)


def _joined(arrays: Mapping[str, Rows]) -> dict[str, Rows]:
    """Join padded arrays with the shapes of their samples."""
    joined = dict(arrays)
    for name, array in arrays.items():
        if f"{name}{SHAPES}" in arrays:
            try:
                joined[name] = RaggedArray(array, np.asarray(joined.pop(f"{name}{SHAPES}")[:]))
            except (ValueError, IndexError) as error:
                raise ValueError(
                    f"'{name}{SHAPES}' does not give the shapes of the samples in '{name}': {error}"
                ) from None
    return joined


class NpzArray:
    """One array of an .npz, stored or deflated, whose first axis is the samples and whose values stay on disk.

    Reading forward decompresses every byte once; going back starts again at the array's beginning.

    Attributes:
        shape: sizes as the file's header declares them.
        dtype: type of the arrays that are read, in this machine's byte order.
    """

    def __init__(self, path: Path, member: str, header: _Header) -> None:
        self._path, self._member = path, member
        self._stored, self._start = header.dtype, header.start
        self.shape, self.dtype = header.shape, header.dtype.newbyteorder("=")
        self._stream: IO[bytes] | None = None

    @property
    def ndim(self) -> int:
        """Number of axes, the samples' included."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, rows: int | slice | Sequence[int]) -> Array:
        """Read one sample, or several that are stacked as NumPy stacks them.

        Raises:
            IndexError: there is no such sample.
            UsageError: the file is damaged at these samples, or was removed.
        """
        if isinstance(rows, slice):
            picked = range(len(self))[rows]
            return self._read(picked.start, len(picked)) if picked.step == 1 else self[picked]
        if isinstance(rows, Sequence):
            return np.stack([self[row] for row in rows]) if len(rows) else self._read(0, 0)
        return np.asarray(self._read(range(len(self))[operator.index(rows)], 1)[0])

    def _read(self, first: int, count: int) -> Array:
        shape = (count, *self.shape[1:])
        sample_bytes = math.prod(self.shape[1:]) * self._stored.itemsize
        with _refusing(self._path):
            if self._stream is None:
                with zipfile.ZipFile(self._path) as archive:
                    self._stream = archive.open(self._member)  # a member stays readable after its archive is closed
                weakref.finalize(self, self._stream.close)
            self._stream.seek(self._start + first * sample_bytes)
            data = bytearray(self._stream.read(count * sample_bytes))
            array: Array = np.ndarray(shape, self._stored, data)
            return array.astype(self.dtype, copy=False)


class _Header(NamedTuple):
    """The header of an .npy file; `start` is the offset in bytes of the first value."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    start: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _read_header(stream: IO[bytes]) -> _Header:
    version = np.lib.format.read_magic(stream)
    if version not in _READ_HEADER:
        raise ValueError(f"it is of format {version[0]}.{version[1]}; 1.0 and 2.0 hold plain arrays")
    with _quiet():
        shape, fortran_order, dtype = _READ_HEADER[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read (allow_pickle=False)")
    return _Header(shape, fortran_order, dtype, stream.tell())


def _read_array(stream: IO[bytes], size: int) -> Array:
    header = _read_header(stream)
    held = size - header.start
    if header.nbytes != held:  # NumPy would take the declared memory before it looks for the data
        raise ValueError(f"its header declares {header.nbytes:,} bytes of data, and there are {held:,}")
    stream.seek(0)
    with _quiet():
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _name(path: Path, info: zipfile.ZipInfo) -> str:
    if not info.filename.endswith(_SUFFIX):
        raise UsageError(f"'{path}' holds '{info.filename}', which is not an array; remove it.")
    return info.filename.removesuffix(_SUFFIX)


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    with archive.open(info) as stream:
        return _read_array(stream, info.file_size)


def _open_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Rows:
    with archive.open(info) as stream:
        header = _read_header(stream)
    if header.nbytes != info.file_size - header.start:
        raise ValueError(f"'{info.filename}' declares {header.nbytes:,} bytes of data and holds {info.file_size:,}")
    if header.fortran_order or not header.shape:
        return _read_member(archive, info)
    return NpzArray(path, info.filename, header)


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn any exception from reading an .npz into a UsageError that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise UsageError(f"There is no file '{path}'.") from None
    except UsageError:
        raise
    except Exception as error:  # a crafted header makes NumPy raise SyntaxError, MemoryError and more; zlib has its own
        if _is_single_array(path):
            text = f"'{path}' is a single array; save it with np.savez, named after the model's input."
        else:
            text = f"'{path}' cannot be read as an .npz of plain arrays: {str(error) or type(error).__name__}."
        raise UsageError(text) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy and Python warn of odd headers, which are refused or read anyway
        yield


def _is_single_array(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return bool(_read_header(stream))
    except Exception:  # as in `_refusing`
        return False
