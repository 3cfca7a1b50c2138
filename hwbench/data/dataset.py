"""Samples and labels from an .npz: arrays named after the model's inputs, first axis the samples, `labels` beside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from runtimes import samples
from runtimes.errors import UsageError
from runtimes.npz import open_arrays
from runtimes.samples import Rows
from runtimes.tensors import Array, TensorSpec

LABELS = "labels"


@dataclass(frozen=True)
class Dataset:
    """Checked samples.

    Attributes:
        file: where they are, for a measuring process to read.
        arrays: one per input; those that come from a file are read sample by sample.
        n: how many samples.
        labels: one entry per sample, or None.
        digests: SHA-256 of the arrays whose bytes were seen already.
    """

    file: Path
    arrays: Mapping[str, Rows]
    n: int
    labels: Array | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    def sha256(self) -> str:
        """Digest of samples and labels, by which two evaluations are known to be on the same data."""
        digest = hashlib.sha256()
        for name, array in sorted(self.arrays.items()):
            digest.update(f"{name}:{self.digests.get(name) or _digest(array)};".encode())
        if self.labels is not None:
            digest.update(f"{LABELS}:{_digest(self.labels)};".encode())
        return digest.hexdigest()


def check_names(path: Path, inputs: Sequence[TensorSpec], *, labels: bool = False, called: str | None = None) -> None:
    """Look for the arrays of inputs that the user described, before there is a model to compare them with.

    Args:
        path: an .npz.
        inputs: some of the model's inputs.
        labels: whether it must hold labels.
        called: how errors name it; its path, if None.

    Raises:
        UsageError: the file is missing or no .npz of plain arrays, or an array is missing.
    """
    called, arrays = called or str(path), open_arrays(path)
    for spec in inputs:
        if spec.name not in arrays:
            raise UsageError(
                f"'{called}' has no array '{spec.name}', which --input {spec} describes; the file holds "
                f"{', '.join(arrays) or 'nothing'}."
            )
    if labels and LABELS not in arrays:
        raise _unlabelled(called)


def read(path: Path, inputs: Sequence[TensorSpec], *, labels: bool = False, called: str | None = None) -> Dataset:
    """Read and check an .npz for a model; every sample passes through memory once.

    Args:
        path: the file.
        inputs: the model's inputs.
        labels: whether it must hold labels.
        called: how errors name it; its path, if None.

    Raises:
        UsageError: the file is missing or no .npz of plain arrays; an input's array is missing, of another
            dtype or shape, empty, or holds NaN or infinity (says which sample); labels are missing or of
            another length.
    """
    called = called or str(path)
    arrays = open_arrays(path)
    for spec in inputs:
        if spec.name not in arrays:
            raise UsageError(
                f"'{called}' has no array '{spec.name}'; the model takes {', '.join(map(str, inputs))}, "
                f"the file holds {', '.join(arrays) or 'nothing'}."
            )
        _check(called, spec, arrays[spec.name])
    n = samples.count(inputs, arrays)
    if n == 0:
        raise UsageError(f"'{called}' holds no samples.")
    found = arrays.get(LABELS)
    if labels and found is None:
        raise _unlabelled(called)
    if found is not None and (found.ndim == 0 or len(found) != n):
        raise UsageError(
            f"'{called}' holds {n} samples and labels of shape {list(found.shape)}; they should be as many."
        )
    digests = {spec.name: _digest_of_finite(called, spec.name, arrays[spec.name]) for spec in inputs}
    selected = {spec.name: arrays[spec.name] for spec in inputs}
    return Dataset(path, selected, n, None if found is None else found[:], digests)


def _unlabelled(called: str) -> UsageError:
    return UsageError(f"'{called}' has no array '{LABELS}'; put one entry per sample beside the inputs.")


def _check(called: str, spec: TensorSpec, array: Rows) -> None:
    if array.dtype.name != spec.dtype:
        raise UsageError(f"'{called}': array '{spec.name}' is {array.dtype.name}; the model takes {spec.dtype}.")
    tail = array.shape[array.ndim - len(spec.shape) :] if array.ndim >= len(spec.shape) else ()
    # Of an array with as many axes as the input, the first is the samples and may have any length.
    wanted = spec.shape if array.ndim == len(spec.shape) + 1 else ("N", *spec.shape[1:])
    fits = len(tail) == len(spec.shape) and all(not isinstance(w, int) or w == got for w, got in zip(wanted, tail))
    if array.ndim == 0 or not fits:
        raise UsageError(
            f"'{called}': array '{spec.name}' has shape {list(array.shape)}; the model takes {spec}, "
            "and the array's first axis should be the samples."
        )


def _digest_of_finite(called: str, name: str, array: Rows) -> str:
    """Digest and check in one pass, as the array may be larger than memory."""
    digest = _started(array)
    for index, sample in enumerate(array):
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(sample).all():
            raise UsageError(f"'{called}': sample {index} of '{name}' holds NaN or infinity; remove it.")
        digest.update(np.ascontiguousarray(sample).data)
    return digest.hexdigest()


def _digest(array: Rows) -> str:
    digest = _started(array)
    for sample in array:
        digest.update(np.ascontiguousarray(sample).data)
    return digest.hexdigest()


def _started(array: Rows) -> hashlib._Hash:
    return hashlib.sha256(f"{array.dtype}:{array.shape};".encode())
