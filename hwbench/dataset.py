"""Samples and labels from an .npz: arrays named after the model's inputs, first axis the samples, `labels` beside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtimes import samples
from runtimes.arrays import read as read_npz
from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec

LABELS = "labels"


@dataclass(frozen=True)
class Dataset:
    """Checked samples.

    Attributes:
        file: where they are, for a measuring process to read.
        arrays: one per input.
        n: how many samples.
        labels: one entry per sample, or None.
    """

    file: Path
    arrays: Mapping[str, Array]
    n: int
    labels: Array | None = None

    def sha256(self) -> str:
        """Digest of samples and labels, by which two evaluations are known to be on the same data."""
        digest = hashlib.sha256()
        for name, array in sorted({**self.arrays, **({} if self.labels is None else {LABELS: self.labels})}.items()):
            digest.update(f"{name}:{array.dtype}:{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def read(path: Path, inputs: Sequence[TensorSpec], *, labels: bool = False) -> Dataset:
    """Read and check an .npz for a model.

    Args:
        path: the file.
        inputs: the model's inputs.
        labels: whether it must hold labels.

    Raises:
        UsageError: the file is missing or no .npz of plain arrays; an input's array is missing, of another
            dtype or shape, empty, or holds NaN or infinity (says which sample); labels are missing or of
            another length.
    """
    arrays = read_npz(path)
    for spec in inputs:
        if spec.name not in arrays:
            raise UsageError(
                f"'{path}' has no array '{spec.name}'; the model takes {', '.join(map(str, inputs))}, "
                f"the file holds {', '.join(arrays) or 'nothing'}."
            )
        _check(path, spec, arrays[spec.name])
    n = samples.count(inputs, arrays)
    if n == 0:
        raise UsageError(f"'{path}' holds no samples.")
    found = arrays.get(LABELS)
    if labels and found is None:
        raise UsageError(f"'{path}' has no array '{LABELS}'; put one entry per sample beside the inputs.")
    if found is not None and (found.ndim == 0 or len(found) != n):
        raise UsageError(f"'{path}' holds {n} samples and labels of shape {list(found.shape)}; they should be as many.")
    return Dataset(path, {spec.name: arrays[spec.name] for spec in inputs}, n, found)


def _check(path: Path, spec: TensorSpec, array: Array) -> None:
    if array.dtype.name != spec.dtype:
        raise UsageError(f"'{path}': array '{spec.name}' is {array.dtype.name}; the model takes {spec.dtype}.")
    tail = array.shape[array.ndim - len(spec.shape) :] if array.ndim >= len(spec.shape) else ()
    # Of an array with as many axes as the input, the first is the samples and may have any length.
    wanted = spec.shape if array.ndim == len(spec.shape) + 1 else ("N", *spec.shape[1:])
    fits = len(tail) == len(spec.shape) and all(not isinstance(w, int) or w == got for w, got in zip(wanted, tail))
    if array.ndim == 0 or not fits:
        raise UsageError(
            f"'{path}': array '{spec.name}' has shape {list(array.shape)}; the model takes {spec}, "
            "and the array's first axis should be the samples."
        )
    if np.issubdtype(array.dtype, np.floating):
        for index, sample in enumerate(array):
            if not np.isfinite(sample).all():
                raise UsageError(f"'{path}': sample {index} of '{spec.name}' holds NaN or infinity; remove it.")
