"""Arrays in an .npz, read sample by sample: only what is being looked at is in memory."""

from __future__ import annotations

import math
import operator
import weakref
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from runtimes import npy
from runtimes.errors import UsageError
from runtimes.samples import Rows
from runtimes.tensors import Array

_READ_HEADER: dict[tuple[int, int], Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def open_arrays(path: Path) -> dict[str, Rows]:
    """The arrays in an .npz file, by name; their values stay on disk until they are asked for.

    Raises:
        UsageError: the file is missing, is no .npz, or holds pickled objects. Damage to an array's values shows
            when they are read.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
                raise UsageError(f"'{path}' is a single array; save it with np.savez, named after the model's input.")
        with zipfile.ZipFile(path) as archive:
            return {info.filename.removesuffix(".npy"): _open(path, archive, info) for info in archive.infolist()}
    except FileNotFoundError:
        raise UsageError(f"There is no file '{path}'.") from None
    except UsageError:
        raise
    except Exception as error:  # a crafted header makes NumPy raise SyntaxError, TypeError and more; zlib has its own
        raise _unreadable(path, error) from None


class NpzArray:
    """One array of an .npz, stored or deflated, whose first axis is the samples.

    Reading forward costs no more than the bytes; going back starts from the array's beginning.

    Attributes:
        shape: as the file's header has it.
        dtype: of what is read, in the machine's own byte order.
    """

    def __init__(self, path: Path, member: str, shape: tuple[int, ...], stored: np.dtype[Any], start: int) -> None:
        self._path, self._member, self._stored, self._start = path, member, stored, start
        self.shape, self.dtype = shape, stored.newbyteorder("=")
        self._stream: IO[bytes] | None = None

    @property
    def ndim(self) -> int:
        """How many axes there are, the samples' included."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many elements there are."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, rows: int | slice | Sequence[int]) -> Array:
        """Read one sample, or several stacked, as NumPy does.

        Raises:
            UsageError: the file is damaged there, or gone.
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
        try:
            if self._stream is None:
                with zipfile.ZipFile(self._path) as archive:
                    self._stream = archive.open(self._member)  # goes on after the archive is closed
                weakref.finalize(self, self._stream.close)
            self._stream.seek(self._start + first * sample_bytes)
            data = bytearray(self._stream.read(count * sample_bytes))
            array: Array = np.ndarray(shape, self._stored, data)
            return array.astype(self.dtype, copy=False)
        except Exception as error:  # as above
            raise _unreadable(self._path, error) from None


def _open(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Rows:
    with archive.open(info) as stream:
        try:
            version = np.lib.format.read_magic(stream)
        except ValueError:
            raise UsageError(f"'{path}': '{info.filename}' is not an array.") from None
        if version not in _READ_HEADER:
            raise ValueError(f"'{info.filename}' is in version {version} of the .npy format")
        shape, fortran_order, dtype = _READ_HEADER[version](stream)
        start = stream.tell()
    if dtype.hasobject:
        raise ValueError(f"'{info.filename}' holds objects, which are not read (allow_pickle=False)")
    if start + math.prod(shape) * dtype.itemsize > info.file_size:
        raise ValueError(f"'{info.filename}' declares the shape {list(shape)} and holds {info.file_size:,} bytes")
    if fortran_order or not shape:  # no sample of it lies in one piece
        return npy.parse(archive.read(info))
    return NpzArray(path, info.filename, shape, dtype, start)


def _unreadable(path: Path, error: Exception) -> UsageError:
    return UsageError(f"'{path}' cannot be read as an .npz of plain arrays: {str(error) or type(error).__name__}.")
