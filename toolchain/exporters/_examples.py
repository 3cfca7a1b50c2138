"""Example inputs for an export: real samples if there are any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from runtimes.sample_arrays import RaggedArray, Rows
from runtimes.tensors import Array, TensorSpec
from toolchain.sources.input_specs import example_samples
from toolchain.sources.sizes import batches, resized_to

_BATCH = 2  # torch.export treats a size of 1 as a constant


def example_feed(
    specs: Sequence[TensorSpec],
    samples: Mapping[str, Rows] | None = None,
    *,
    known: Mapping[str, int] = MappingProxyType({}),
    default: int = 8,
) -> dict[str, Array]:
    """Make one inference's arrays: from `samples` (first axis the samples) if dtype and shape fit, else random.

    A named dimension has the size that `known` gives it. Else one that is always an input's first axis is a batch, of
    size 2, and others have the samples' size, or `default`.
    """
    real = {spec.name: _fitting(spec, (samples or {}).get(spec.name)) for spec in specs}
    sizes = {**dict.fromkeys(sorted(batches(specs)), _BATCH), **known}
    for spec in specs:
        found = real[spec.name]
        for axis, size in enumerate(spec.shape):
            if isinstance(size, str) and found is not None:
                sizes.setdefault(size, max(_BATCH, found.shape[axis]))
    shapes = {spec.name: spec.resolve(sizes, default=default) for spec in specs}
    random = example_samples([TensorSpec(spec.name, spec.dtype, shapes[spec.name]) for spec in specs], 1)
    return {
        name: np.asarray(random[name][0]) if array is None else resized_to(array, shapes[name])
        for name, array in real.items()
    }


def _fitting(spec: TensorSpec, array: Rows | None) -> Array | None:
    """Take a few samples in the input's own rank; None if they do not fit, which reading the data reports later."""
    if array is None or array.dtype != np.dtype(spec.dtype) or array.size == 0:
        return None
    if array.ndim == len(spec.shape) + 1:
        array, first = array[0], 0
    elif array.ndim == len(spec.shape) > 0 and isinstance(array, RaggedArray):
        array, first = np.asarray(array[0])[np.newaxis], 1
    elif array.ndim == len(spec.shape) > 0:
        array, first = array[: spec.shape[0] if isinstance(spec.shape[0], int) else _BATCH], 1
    else:
        return None
    wanted, sizes = spec.shape[first:], np.shape(array)[first:]
    if any(isinstance(want, int) and want != size for want, size in zip(wanted, sizes)):
        return None
    found = np.asarray(array)
    return found if found.dtype.kind != "f" or np.isfinite(found).all() else None
