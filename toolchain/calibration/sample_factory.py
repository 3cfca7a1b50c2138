"""Samples from a Python function (`FILE.py:FACTORY`) or a folder of .npz files, written to one .npz.

They are written once, so that every step and every measuring process reads the same samples even if the function draws
them at random. They need not fit in memory, and may be of mixed sizes.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from hwbench.data import user_code
from hwbench.progress import bar
from runtimes import npz
from runtimes.errors import UsageError
from runtimes.tensors import Array


def as_npz(samples: Path, out: Path) -> Path:
    """Return samples as an .npz: a file unchanged, or those of a folder or of FILE.py:FACTORY written to `out`.

    The factory takes no arguments and returns a finite iterable of dicts of arrays by input name. Each dict is one
    sample, whose arrays have no batch axis; arrays of the model's own rank are whole inferences. A folder holds one
    .npz per sample, with the same arrays, in the order of the files' names.

    Raises:
        UsageError: the factory cannot be found, raises, yields nothing, or yields something else than samples; or
            the folder holds no .npz, or one that cannot be read.
    """
    where, _, name = str(samples).rpartition(":")
    if samples.is_dir():
        files = _files(samples)
        return write_samples(samples, map(npz.read, files), out, files)
    if not where.endswith(".py"):
        return samples
    factory = getattr(user_code.load(Path(where)), name, None)
    if not callable(factory):
        raise UsageError(
            f"'{where}' has no function '{name}'; give the samples as FILE.npz, a folder of .npz files, or "
            "FILE.py:FACTORY."
        )
    return write_samples(samples, _guarded(str(samples), Path(where), factory), out)


def write_samples(samples: Path, found: Iterator[object], out: Path, files: Sequence[Path] = ()) -> Path:
    """Write samples one by one to an .npz.

    Args:
        samples: the origin of the samples, for errors and the progress bar.
        found: dicts of arrays.
        out: the file to write, which is returned.
        files: the file of each sample, for errors, if each has one.

    Raises:
        UsageError: there are none, or they do not fit each other.
    """
    with (
        tempfile.TemporaryDirectory(dir=out.parent) as folder,
        contextlib.ExitStack() as open_files,
        bar(f"Taking samples from {samples}", None) as tick,
    ):
        columns: dict[str, _Column] = {}
        for index, sample in enumerate(found):
            called = f"'{files[index]}'" if files else f"'{samples}': sample {index}"
            arrays = _arrays(called, sample)
            if index == 0:
                columns = {
                    name: _Column(open_files.enter_context(Path(folder, str(i)).open("w+b")), array.dtype, array.ndim)
                    for i, (name, array) in enumerate(arrays.items())
                }
            _append(called, columns, arrays)
            tick("")
        if not columns:
            raise UsageError(f"'{samples}' yielded no samples.")
        _write(out, columns)
    return out


@dataclass(frozen=True)
class _Column:
    """One input's samples, one after another in a file, and their shapes."""

    file: IO[bytes]
    dtype: np.dtype[np.generic]
    ndim: int
    shapes: list[tuple[int, ...]] = field(default_factory=list)


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise UsageError(f"The folder '{folder}' holds no .npz; give one per sample, with an array per input.")
    return files


def _guarded(called: str, file: Path, factory: object) -> Iterator[object]:
    assert callable(factory)
    with user_code.running(file, f"'{called}' raised"):
        found = factory()
        if not isinstance(found, Iterable):
            raise UsageError(f"'{called}' returned a {type(found).__name__}; yield dicts of arrays, one per sample.")
        yield from found


def _arrays(called: str, sample: object) -> dict[str, Array]:
    if not isinstance(sample, Mapping):
        raise UsageError(f"{called} is a {type(sample).__name__}; yield a dict of arrays by input name.")
    if not sample:
        raise UsageError(f"{called} holds no arrays; give one for each input.")
    try:
        arrays = {str(name): np.asarray(value) for name, value in sample.items()}
    except ValueError as error:
        raise UsageError(f"{called} holds something else than arrays: {error}.") from None
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise UsageError(f"{called}: '{name}' is no array of numbers; give NumPy arrays of numbers.")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UsageError(f"{called}: '{name}' holds NaN or infinity; remove it.")
    return arrays


def _append(called: str, columns: Mapping[str, _Column], arrays: Mapping[str, Array]) -> None:
    if arrays.keys() != columns.keys():
        raise UsageError(
            f"{called} has {', '.join(arrays)}; the first had {', '.join(columns)}. Give the same inputs in each."
        )
    for name, array in arrays.items():
        column = columns[name]
        if (array.dtype, array.ndim) != (column.dtype, column.ndim):
            raise UsageError(
                f"{called}: '{name}' is {array.dtype} with {array.ndim} axes, and the first was {column.dtype} with "
                f"{column.ndim}; give all samples one dtype and number of axes."
            )
        column.shapes.append(array.shape)
        column.file.write(array.tobytes())


def _write(out: Path, columns: Mapping[str, _Column]) -> None:
    """Write columns as `runtimes/npz.py` reads them: padded, with a shape per sample, where they are of mixed sizes."""
    with zipfile.ZipFile(out, "w") as archive:
        for name, column in columns.items():
            most = tuple(map(max, zip(*column.shapes)))
            header = {
                "descr": np.lib.format.dtype_to_descr(column.dtype),
                "fortran_order": False,
                "shape": (len(column.shapes), *most),
            }
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, header)
                column.file.seek(0)
                for shape in column.shapes:
                    member.write(_padded(column, shape, most))
            column.file.truncate(0)  # the next column's copy may need the space
            if len(set(column.shapes)) > 1:
                with archive.open(f"{name}{npz.SHAPES}.npy", "w") as member:
                    np.lib.format.write_array(member, np.array(column.shapes, np.int64))


def _padded(column: _Column, shape: tuple[int, ...], most: tuple[int, ...]) -> bytes:
    """Read the next sample of a column, of one shape, and pad it to another."""
    data = column.file.read(math.prod(shape) * column.dtype.itemsize)
    if shape == most:
        return data
    sample = np.frombuffer(data, column.dtype).reshape(shape)
    return np.pad(sample, [(0, larger - size) for size, larger in zip(shape, most)]).tobytes()
