"""Samples: arrays whose first axis is the samples, cut into a model's feeds, and outputs joined again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from runtimes.errors import FeedError
from runtimes.sample_arrays import RaggedArray, Rows, stack
from runtimes.tensors import Array, TensorSpec


def count(specs: Sequence[TensorSpec], arrays: Mapping[str, Rows]) -> int:
    """Count the samples that the arrays hold.

    Raises:
        FeedError: an input has no array, arrays hold different numbers of samples, or a fixed batch does not divide
            the number or is not every input's.
    """
    for spec in specs:
        if spec.name not in arrays:
            raise FeedError(f"There is no array for the input '{spec.name}'; found {', '.join(arrays) or 'none'}.")
        if arrays[spec.name].ndim not in (len(spec.shape), len(spec.shape) + 1) or arrays[spec.name].ndim == 0:
            raise FeedError(
                f"Array '{spec.name}' has shape {list(arrays[spec.name].shape)}; the model takes {spec}, "
                "and the array's first axis must be the samples."
            )
    lengths = {spec.name: len(arrays[spec.name]) for spec in specs}
    if len(set(lengths.values())) > 1:
        raise FeedError(
            "The arrays hold different numbers of samples: "
            + ", ".join(f"{k} has {v}" for k, v in lengths.items())
            + "."
        )
    n = next(iter(lengths.values()), 0)
    step = batch_size(specs, arrays)
    if step == 0 or n % step:
        raise FeedError(
            f"The model's batch is fixed at {step}, but {n} samples are not a multiple of {step}; remove the rest."
        )
    for spec in specs:
        if step > 1 and arrays[spec.name].ndim > len(spec.shape):  # one feed takes `step` samples of the other inputs
            raise FeedError(
                f"The model's batch is fixed at {step}, but array '{spec.name}' of shape "
                f"{list(arrays[spec.name].shape)} has one axis too many to be cut for {spec}."
            )
    return n


def batch_size(specs: Sequence[TensorSpec], arrays: Mapping[str, Rows]) -> int:
    """Return the number of samples per inference: 1, or the model's own fixed batch."""
    for spec in specs:
        if arrays[spec.name].ndim == len(spec.shape) and isinstance(spec.shape[0], int):
            return spec.shape[0]
    return 1


def feeds(specs: Sequence[TensorSpec], arrays: Mapping[str, Rows]) -> Iterator[dict[str, Array]]:
    """Yield the feeds of one inference after another.

    An array with one axis more than its input gives `array[i]`; one with as many axes gives `array[i : i + batch]`.

    Raises:
        FeedError: as in `count`; or samples of mixed sizes would share the model's fixed batch.
    """
    n, step = count(specs, arrays), batch_size(specs, arrays)
    for start in range(0, n, step):
        yield {spec.name: _cut(spec, arrays[spec.name], start, step) for spec in specs}


def _cut(spec: TensorSpec, array: Rows, start: int, step: int) -> Array:
    if array.ndim == len(spec.shape) + 1:
        return np.asarray(array[start])
    batch = array[start : start + step]
    if isinstance(batch, RaggedArray):
        batch = stack(list(batch))
    if isinstance(batch, RaggedArray):
        raise FeedError(f"Samples {start} to {start + step - 1} of '{spec.name}' differ in size and share one batch.")
    return np.ascontiguousarray(batch)


def gather(outputs: Sequence[Mapping[str, Array]], batch: int) -> dict[str, Rows]:
    """Join the outputs of many inferences into arrays whose first axis is the samples.

    An output whose first axis is the batch is cut along this axis; others are one sample's as a whole. Outputs of mixed
    sizes become a `RaggedArray`.

    Raises:
        FeedError: an output has different numbers of axes for different samples.
    """
    joined: dict[str, Rows] = {}
    for name in outputs[0] if outputs else ():
        parts = [np.asarray(output[name]) for output in outputs]
        batched = all(part.ndim > 0 and len(part) == batch for part in parts)
        one_shape = len({part.shape for part in parts}) == 1
        try:
            joined[name] = (
                np.concatenate(parts)
                if batched and one_shape
                else stack([sample for part in parts for sample in part] if batched else parts)
            )
        except FeedError as error:
            raise FeedError(f"Output '{name}': {error}") from None
    return joined
