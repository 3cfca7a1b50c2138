"""Arrays whose first axis is the samples, cut into the feeds a model takes, and outputs put together again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from runtimes.errors import FeedError
from runtimes.tensors import Array, TensorSpec


class Rows(Protocol):
    """An array whose first axis is the samples: NumPy's, or one whose samples are on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, the number of samples first."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's."""

    @property
    def ndim(self) -> int:
        """How many axes there are."""

    @property
    def size(self) -> int:
        """How many elements there are."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


def count(specs: Sequence[TensorSpec], arrays: Mapping[str, Rows]) -> int:
    """How many samples the arrays hold.

    Raises:
        FeedError: an input has no array, arrays disagree about the number, or a fixed batch does not divide
            it or is not every input's.
    """
    for spec in specs:
        if spec.name not in arrays:
            raise FeedError(f"There is no array for the input '{spec.name}'; found {', '.join(arrays) or 'none'}.")
        if arrays[spec.name].ndim not in (len(spec.shape), len(spec.shape) + 1) or arrays[spec.name].ndim == 0:
            raise FeedError(
                f"Array '{spec.name}' has shape {list(arrays[spec.name].shape)}; the model takes {spec}, "
                "and the array's first axis should be the samples."
            )
    lengths = {spec.name: len(arrays[spec.name]) for spec in specs}
    if len(set(lengths.values())) > 1:
        raise FeedError(
            "Arrays disagree about the number of samples: "
            + ", ".join(f"{k} has {v}" for k, v in lengths.items())
            + "."
        )
    n = next(iter(lengths.values()), 0)
    step = batch_size(specs, arrays)
    if step == 0 or n % step:
        raise FeedError(f"The model's batch is fixed at {step}, and {n} samples are not a multiple of it.")
    for spec in specs:
        if step > 1 and arrays[spec.name].ndim > len(spec.shape):  # one feed would take `step` samples of the others
            raise FeedError(
                f"The model's batch is fixed at {step}, and array '{spec.name}' of shape "
                f"{list(arrays[spec.name].shape)} has one axis too many to be cut for {spec}."
            )
    return n


def batch_size(specs: Sequence[TensorSpec], arrays: Mapping[str, Rows]) -> int:
    """Samples per inference: 1, or the model's own fixed batch."""
    for spec in specs:
        if arrays[spec.name].ndim == len(spec.shape) and isinstance(spec.shape[0], int):
            return spec.shape[0]
    return 1


def feeds(specs: Sequence[TensorSpec], arrays: Mapping[str, Rows]) -> Iterator[dict[str, Array]]:
    """One inference's feeds after another.

    An array with one axis more than the input gives `array[i]`; one with as many axes gives `array[i : i + batch]`.
    """
    n, step = count(specs, arrays), batch_size(specs, arrays)
    for start in range(0, n, step):
        yield {spec.name: _cut(spec, arrays[spec.name], start, step) for spec in specs}


def _cut(spec: TensorSpec, array: Rows, start: int, step: int) -> Array:
    if array.ndim == len(spec.shape) + 1:
        return np.asarray(array[start])
    return np.ascontiguousarray(array[start : start + step])


def gather(outputs: Sequence[Mapping[str, Array]], batch: int) -> dict[str, Array]:
    """Put the outputs of many inferences together, the samples first.

    An output whose first axis is the batch is joined along it; others are stacked.

    Raises:
        FeedError: an output changes its shape from sample to sample.
    """
    joined = {}
    for name in outputs[0] if outputs else ():
        parts = [np.asarray(output[name]) for output in outputs]
        try:
            batched = all(part.ndim > 0 and len(part) == batch for part in parts)
            joined[name] = np.concatenate(parts) if batched else np.stack(parts)
        except ValueError:
            shapes = sorted({str(list(part.shape)) for part in parts})
            raise FeedError(f"Output '{name}' changes its shape between samples: {', '.join(shapes[:4])}.") from None
    return joined
