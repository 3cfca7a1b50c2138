"""Samples from a Python function (`FILE.py:FACTORY`), written to an .npz.

They are written once, so that every step and every measuring process reads the same samples even if the function draws
them at random. They need not fit in memory.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from hwbench.data import user_code
from hwbench.progress import bar
from runtimes.errors import UsageError
from runtimes.tensors import Array


def as_npz(samples: Path, work: Path) -> Path:
    """Return samples as an .npz: a file unchanged, or the samples of FILE.py:FACTORY written to the folder `work`.

    The factory takes no arguments and returns a finite iterable of dicts of arrays by input name. Each dict is one
    sample, whose arrays have no batch axis; arrays of the model's own rank are whole inferences.

    Raises:
        UsageError: the factory cannot be found, raises, yields nothing, or yields something else than samples.
    """
    where, _, name = str(samples).rpartition(":")
    if not where.endswith(".py"):
        return samples
    factory = getattr(user_code.load(Path(where)), name, None)
    if not callable(factory):
        raise UsageError(f"'{where}' has no function '{name}'; give the samples as FILE.npz or FILE.py:FACTORY.")
    out = work / "samples.npz"
    with (
        tempfile.TemporaryDirectory(dir=work) as folder,
        contextlib.ExitStack() as open_files,
        bar(f"Taking samples from {samples}", None) as tick,
    ):
        columns: dict[str, _Column] = {}
        for index, sample in enumerate(_guarded(str(samples), Path(where), factory)):
            arrays = _arrays(f"'{samples}': sample {index}", sample)
            if index == 0:
                columns = {
                    name: _Column(open_files.enter_context(Path(folder, str(i)).open("w+b")), array.dtype, array.shape)
                    for i, (name, array) in enumerate(arrays.items())
                }
            _append(f"'{samples}': sample {index}", columns, arrays)
            tick("")
        if not columns:
            raise UsageError(f"'{samples}' yielded no samples.")
        _write(out, columns, index + 1)
    return out


@dataclass(frozen=True)
class _Column:
    """One input's samples, one after another in a file."""

    file: IO[bytes]
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]


def _guarded(called: str, file: Path, factory: object) -> Iterator[object]:
    assert callable(factory)
    try:
        with user_code.beside(file):
            found = factory()
            if not isinstance(found, Iterable):
                raise UsageError(
                    f"'{called}' returned a {type(found).__name__}; yield dicts of arrays, one per sample."
                )
            yield from found
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # the user's code may raise any exception
        reason = " ".join(str(error).split())[:300]
        raise UsageError(f"'{called}' raised {type(error).__name__}: {reason}") from error


def _arrays(called: str, sample: object) -> dict[str, Array]:
    if not isinstance(sample, Mapping) or not sample:
        raise UsageError(f"{called} is a {type(sample).__name__}; yield a dict of arrays by input name.")
    arrays = {str(name): np.asarray(value) for name, value in sample.items()}
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise UsageError(f"{called}: '{name}' is no array of numbers; yield NumPy arrays of numbers.")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UsageError(f"{called} of '{name}' holds NaN or infinity; remove it.")
    return arrays


def _append(called: str, columns: Mapping[str, _Column], arrays: Mapping[str, Array]) -> None:
    if arrays.keys() != columns.keys():
        raise UsageError(
            f"{called} has {', '.join(arrays)}; the first had {', '.join(columns)}. Yield the same inputs in each."
        )
    for name, array in arrays.items():
        column = columns[name]
        if (array.dtype, array.shape) != (column.dtype, column.shape):
            raise UsageError(
                f"{called} of '{name}' is {array.dtype}{list(array.shape)}, and the first was "
                f"{column.dtype}{list(column.shape)}; yield samples of one shape."
            )
        column.file.write(array.tobytes())


def _write(out: Path, columns: Mapping[str, _Column], n: int) -> None:
    with zipfile.ZipFile(out, "w") as archive:
        for name, column in columns.items():
            header = {
                "descr": np.lib.format.dtype_to_descr(column.dtype),
                "fortran_order": False,
                "shape": (n, *column.shape),
            }
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, header)
                column.file.seek(0)
                shutil.copyfileobj(column.file, member, 1 << 20)
            column.file.truncate(0)  # the next column's copy may need the space
