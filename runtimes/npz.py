"""Arrays in .npz files, read without trusting them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from runtimes import npy
from runtimes.errors import UsageError
from runtimes.files import replacing
from runtimes.tensors import Array

_SUFFIX = ".npy"


def read(path: Path) -> dict[str, Array]:
    """The arrays in an .npz file, by name.

    Raises:
        UsageError: the file is missing, damaged, holds pickled objects, or is no .npz.
    """
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            return {info.filename.removesuffix(_SUFFIX): _member(path, archive, info) for info in members}
    except FileNotFoundError:
        raise UsageError(f"There is no file '{path}'.") from None
    except UsageError:
        raise
    except Exception as error:  # zipfile and zlib raise a dozen kinds
        if _is_single_array(path):
            text = f"'{path}' is a single array; save it with np.savez, named after the model's input."
        else:
            text = f"'{path}' cannot be read as an .npz of plain arrays: {str(error) or type(error).__name__}."
        raise UsageError(text) from None


def write(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an .npz atomically. Unlike np.savez, it takes any name ("file") and keeps the path as it is.

    Raises:
        UsageError: the path cannot be written, or an array holds objects.
    """
    with replacing(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}{_SUFFIX}", "w", force_zip64=True) as member:
                try:
                    np.lib.format.write_array(member, array, allow_pickle=False)
                except ValueError:
                    raise UsageError(f"Output '{name}' is {array.dtype.name}, which .npz cannot hold.") from None


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    if not info.filename.endswith(_SUFFIX):
        raise UsageError(f"'{path}': '{info.filename}' is not an array.")
    with archive.open(info) as member:
        return npy.read(member, info.file_size)


def _is_single_array(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            npy.read(stream, path.stat().st_size)
    except (OSError, ValueError):
        return False
    return True
