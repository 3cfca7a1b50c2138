"""One array in the bytes of an .npy file, read without trusting them."""

from __future__ import annotations

import io
import math
import warnings
from typing import IO

import numpy as np

from runtimes.tensors import Array

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def parse(data: bytes) -> Array:
    """The array in the bytes of an .npy file.

    Raises:
        ValueError: it is none, is damaged, or holds pickled objects.
    """
    return read(io.BytesIO(data), len(data))


def read(stream: IO[bytes], size: int) -> Array:
    """The array in a seekable stream of `size` bytes; no more memory is taken than that.

    Raises:
        ValueError: as `parse`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what NumPy and Python think of odd headers
            return _read(stream, size)
    except Exception as error:  # a crafted header makes NumPy raise SyntaxError, TypeError, MemoryError and more
        raise ValueError(str(error) or type(error).__name__) from None


def _read(stream: IO[bytes], size: int) -> Array:
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:  # 3.0 is for field names that are not Latin
        raise ValueError(f"it is of format {version[0]}.{version[1]}; 1.0 and 2.0 hold plain arrays")
    shape, _, dtype = _HEADERS[version](stream)
    declared, held = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if declared != held and not dtype.hasobject:  # NumPy takes the memory before it looks for the data
        raise ValueError(f"its header declares {declared:,} bytes of data, and there are {held:,}")
    stream.seek(0)
    array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return array
