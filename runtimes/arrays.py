"""Arrays in files, .npy and .npz, read without trusting them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from runtimes.errors import UsageError
from runtimes.files import replacing
from runtimes.tensors import Array


def parse(data: bytes) -> Array:
    """The array in the bytes of an .npy file.

    Raises:
        ValueError: it is none, is damaged, or holds pickled objects.
    """
    try:
        array: Array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # a crafted header makes NumPy raise SyntaxError, TypeError, MemoryError and more
        raise ValueError(str(error) or type(error).__name__) from None
    return array


def read(path: Path) -> dict[str, Array]:
    """The arrays in an .npz file, by name.

    Raises:
        UsageError: the file is missing, damaged, holds pickled objects, or is no .npz.
    """
    try:
        with path.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            found = {name: archive[name] for name in archive.files} if hasattr(archive, "files") else {}
    except FileNotFoundError:
        raise UsageError(f"There is no file '{path}'.") from None
    except Exception as error:  # as above, and what zipfile and zlib raise
        raise UsageError(
            f"'{path}' cannot be read as an .npz of plain arrays: {str(error) or type(error).__name__}."
        ) from None
    if isinstance(archive, np.ndarray):
        raise UsageError(f"'{path}' is a single array; save it with np.savez, named after the model's input.")
    for name, array in found.items():
        if not isinstance(array, np.ndarray):  # NumPy hands out other members of the zip as bytes
            raise UsageError(f"'{path}': '{name}' is not an array.")
    return found


def write(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an .npz atomically. Unlike np.savez, it takes any name ("file") and keeps the path as it is.

    Raises:
        UsageError: the path cannot be written, or an array holds objects.
    """
    with replacing(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                try:
                    np.lib.format.write_array(member, array, allow_pickle=False)
                except ValueError:
                    raise UsageError(f"Output '{name}' is {array.dtype.name}, which .npz cannot hold.") from None
