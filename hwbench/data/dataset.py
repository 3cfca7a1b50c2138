"""Samples and labels in an .npz file: one array per input of the model, and `labels`; the first axis is the samples.

Samples may be of mixed sizes; `runtimes/npz.py` says how a file holds them. An output may have labels of its own, in
`labels_OUTPUT`.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from runtimes import samples
from runtimes.bundles.states import States, step_inputs
from runtimes.errors import UsageError
from runtimes.inference import step_sequences
from runtimes.inference.step_sequences import StepSequence, leading_axes
from runtimes.npz import open_arrays
from runtimes.sample_arrays import RaggedArray, Rows
from runtimes.tensors import Array, TensorSpec

LABELS = "labels"


@dataclass(frozen=True)
class Dataset:
    """Checked samples.

    Attributes:
        file: the file that holds them, for a measuring process to read.
        specs: the inputs of the model that they were checked against.
        arrays: one per input; those of a file are read sample by sample.
        n: number of samples.
        labels: one per sample, or None.
        labels_of: labels of single outputs, by the output's name.
        digests: SHA-256 of the arrays whose bytes were read already.
        states: the model's states, if it has any; the samples are then sequences of steps
            (`inference.step_sequences`), and there may be no arrays for states.
    """

    file: Path
    specs: tuple[TensorSpec, ...]
    arrays: Mapping[str, Rows]
    n: int
    labels: Rows | None = None
    labels_of: Mapping[str, Rows] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    states: States = field(default_factory=dict)

    @property
    def batch_size(self) -> int:
        """Number of samples in one inference: one, unless the model fixes its batch."""
        return 1 if self.states else samples.batch_size(self.specs, self.arrays)

    def feeds(self) -> Iterator[dict[str, Array]]:
        """Cut the samples into the feeds of one inference each; not for sequences."""
        return samples.feeds(self.specs, self.arrays)

    def sequences(self) -> Iterator[StepSequence]:
        """Cut the samples of a model with states into sequences of steps."""
        return step_sequences.sequences(self.specs, self.states, self.arrays)

    def first(self, most: int, steps: int) -> range:
        """Choose the first samples: about `most`, in whole batches; of sequences, no more than have so many steps."""
        if not self.states:
            return range(min(-(-most // self.batch_size) * self.batch_size, self.n))
        lengths = itertools.accumulate(len(sequence.feeds) for sequence in itertools.islice(self.sequences(), most))
        return range(max(1, sum(length <= steps for length in lengths)))

    @property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """The sizes that each dynamic dimension of the model takes in the samples, in rising order.

        States count only as far as other inputs have their dimensions, since they grow with the steps.
        """
        found: dict[str, set[int]] = {}
        for spec in step_inputs(self.specs, self.states):
            lead = leading_axes(spec, self.states)
            for letter, sizes in zip(spec.shape, _axis_sizes(spec, self.arrays[spec.name], lead)):
                if isinstance(letter, str):
                    found.setdefault(letter, set()).update(sizes)
        return {letter: tuple(sorted(sizes)) for letter, sizes in found.items()}

    def labels_for(self, output: str | None) -> Rows | None:
        """Return the labels of an output, or those of all; None without any."""
        return self.labels_of.get(output, self.labels) if output is not None else self.labels

    def sha256(self) -> str:
        """Compute the digest of samples and labels, which is equal for evaluations on the same data."""
        digest = hashlib.sha256()
        for name, array in sorted(self.arrays.items()):
            digest.update(f"{name}:{self.digests.get(name) or _digest(array)};".encode())
        if self.labels is not None:
            digest.update(f"{LABELS}:{_digest(self.labels)};".encode())
        for output, labels in sorted(self.labels_of.items()):
            digest.update(f"{LABELS}_{output}:{_digest(labels)};".encode())
        return digest.hexdigest()


def check_names(path: Path, inputs: Sequence[TensorSpec], *, labels: bool = False, called: str | None = None) -> None:
    """Check that a file has the arrays of inputs that the user described, before there is a model to compare it with.

    Args:
        path: an .npz file.
        inputs: some of the model's inputs.
        labels: True if the file must hold labels.
        called: the file's name in errors; its path, if None.

    Raises:
        UsageError: the file is missing or not an .npz of plain arrays, or an array is missing.
    """
    called, arrays = called or str(path), open_arrays(path)
    for spec in inputs:
        if spec.name not in arrays:
            raise UsageError(
                f"'{called}' has no array '{spec.name}', which --input {spec} describes; the file holds "
                f"{', '.join(arrays) or 'nothing'}."
            )
    if labels and not any(map(_is_labels, arrays)):
        raise _unlabelled(called)


def read(
    path: Path,
    inputs: Sequence[TensorSpec],
    *,
    labels: bool = False,
    called: str | None = None,
    states: States | None = None,
) -> Dataset:
    """Read and check an .npz file for a model; every sample passes through memory once.

    Args:
        path: the file.
        inputs: the model's inputs.
        labels: True if the file must hold labels.
        called: the file's name in errors; its path, if None.
        states: the model's states, if it has any.

    Raises:
        UsageError: the file is missing or not an .npz of plain arrays; an input's array is missing, of another
            dtype or shape, empty, or holds NaN or infinity (says which sample); labels are missing or of
            another length.
    """
    called = called or str(path)
    arrays = open_arrays(path)
    states = states or {}
    for spec in inputs:
        if spec.name not in arrays:
            if spec.name in states:
                continue
            raise UsageError(
                f"'{called}' has no array '{spec.name}'; the model takes {', '.join(map(str, inputs))}, "
                f"the file holds {', '.join(arrays) or 'nothing'}."
            )
        _check(called, spec, arrays[spec.name], states)
    n = step_sequences.count(inputs, states, arrays) if states else samples.count(inputs, arrays)
    if n == 0:
        raise UsageError(f"'{called}' holds no samples.")
    selected = {spec.name: arrays[spec.name] for spec in inputs if spec.name in arrays}
    found = {name: rows for name, rows in arrays.items() if name not in selected and _is_labels(name)}
    if labels and not found:
        raise _unlabelled(called)
    for name, rows in found.items():
        if rows.ndim == 0 or len(rows) != n:
            raise UsageError(
                f"'{called}' holds {n} samples and {name} of shape {list(rows.shape)}; give one label per sample."
            )
    of_all = found.pop(LABELS, None)
    of_outputs = {name.removeprefix(f"{LABELS}_"): rows[:] for name, rows in found.items()}
    digests = {name: _digest_of_finite(called, name, array) for name, array in selected.items()}
    return Dataset(path, tuple(inputs), selected, n, None if of_all is None else of_all[:], of_outputs, digests, states)


def _is_labels(name: str) -> bool:
    return name == LABELS or name.startswith(f"{LABELS}_")


def _unlabelled(called: str) -> UsageError:
    return UsageError(
        f"'{called}' has no array '{LABELS}'; add one label per sample, or '{LABELS}_OUTPUT' for one output's."
    )


def _check(called: str, spec: TensorSpec, array: Rows, states: States) -> None:
    if array.dtype.name != spec.dtype:
        raise UsageError(f"'{called}': array '{spec.name}' is {array.dtype.name}; the model takes {spec.dtype}.")
    lead = leading_axes(spec, states)
    axes = array.ndim - lead  # of one inference
    fits = axes in (len(spec.shape) - 1, len(spec.shape)) and all(
        not isinstance(wanted, int) or sizes <= {wanted}
        # Without an axis for the batch, samples or steps take its place, and there may be any number of them.
        for wanted, sizes in list(zip(spec.shape, _axis_sizes(spec, array, lead)))[axes < len(spec.shape) :]
    )
    if array.ndim < lead or not fits:
        mixed = "samples of mixed sizes up to " if isinstance(array, RaggedArray) else ""
        raise UsageError(
            f"'{called}': array '{spec.name}' has {mixed or 'shape '}{list(array.shape)}; the model takes {spec}, "
            f"and the array's first axis must be the samples{', its second their steps' if lead == 2 else ''}."
        )


def _axis_sizes(spec: TensorSpec, array: Rows, lead: int) -> list[set[int]]:
    """List the sizes that each axis of an input takes; of the first, 1 if samples or steps are cut from it.

    Args:
        spec: the input.
        array: its samples.
        lead: the number of axes before those of one inference: the samples and, if there are any, the steps.
    """
    if isinstance(array, RaggedArray):
        sizes = [set(map(int, column)) for column in array.shapes.T]
    else:
        sizes = [{size} for size in array.shape[1:]]
    sizes = sizes[lead - 1 :]
    return sizes if len(sizes) == len(spec.shape) else [{1}, *sizes]


def _digest_of_finite(called: str, name: str, array: Rows) -> str:
    """Digest and check in one pass, as the array may be larger than memory."""
    digest = _started(array)
    for index, sample in enumerate(array):
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(sample).all():
            raise UsageError(f"'{called}': sample {index} of '{name}' holds NaN or infinity; remove it.")
        digest.update(_bytes(array, sample))
    return digest.hexdigest()


def _digest(array: Rows) -> str:
    digest = _started(array)
    for sample in array:
        digest.update(_bytes(array, sample))
    return digest.hexdigest()


def _bytes(array: Rows, sample: Array) -> bytes:
    """Return what a sample adds to a digest: its values, and its shape where samples differ in it."""
    shape = str(sample.shape).encode() if isinstance(array, RaggedArray) else b""
    return shape + np.ascontiguousarray(sample).tobytes()


def _started(array: Rows) -> hashlib._Hash:
    return hashlib.sha256(f"{array.dtype}:{array.shape};".encode())
