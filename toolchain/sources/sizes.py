"""Sizes of dynamic dimensions: those of a feed, others worth trying, and feeds of other sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from runtimes.tensors import Array, Feeds, TensorSpec

_LONG = 32  # sizes from here on are halved before they are doubled
_FADING = 0.01  # of a repetition's values, times the axis' number from 1 on, so that no two repetitions are equal


def batches(specs: Sequence[TensorSpec]) -> set[str]:
    """Find the dimensions that are a batch: always an input's first axis."""
    leading = {size for spec in specs for size in spec.shape[:1] if isinstance(size, str)}
    return leading - {size for spec in specs for size in spec.shape[1:] if isinstance(size, str)}


def sizes_of(specs: Sequence[TensorSpec], feeds: Feeds) -> dict[str, int]:
    """Read the size of each dynamic dimension from feeds."""
    return {
        letter: size
        for spec in specs
        for letter, size in zip(spec.shape, np.shape(feeds[spec.name]))
        if isinstance(letter, str)
    }


def other_sizes(specs: Sequence[TensorSpec], sizes: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Yield sizes that a model is likely to accept: all dimensions changed at once, then each dimension alone.

    Batches become one larger. Others are doubled and halved, since models with strides often accept only multiples of
    a power of two; large ones are halved first, since some have a maximum.
    """
    batch = batches(specs)

    def changed(letter: str, size: int, second: bool) -> int:
        if letter in batch:
            return size + 1
        return size * 2 if second == (size >= _LONG) else max(size // 2, 1)

    for second in (False, True):
        yield {letter: changed(letter, size, second) for letter, size in sizes.items()}
    for letter, size in sizes.items():
        for second in (False, True)[: 1 if letter in batch else 2]:
            yield {**sizes, letter: changed(letter, size, second)}


def resized(specs: Sequence[TensorSpec], feeds: Feeds, sizes: Mapping[str, int]) -> dict[str, Array]:
    """Cut or repeat the arrays of feeds, so that their values stay valid (as those of a vocabulary)."""
    return {spec.name: resized_to(np.asarray(feeds[spec.name]), spec.resolve(sizes)) for spec in specs}


def resized_to(array: Array, shape: Sequence[int]) -> Array:
    """Cut or repeat one array along each axis; repeated floats get slightly smaller.

    In an image of equal parts, a detector's scores are equal too, and those that are equal may come in any order.
    """
    for axis, size in enumerate(shape):
        if not array.shape[axis]:  # an empty state has nothing to repeat
            array = np.zeros((*array.shape[:axis], size, *array.shape[axis + 1 :]), array.dtype)
        repetition, index = np.divmod(np.arange(size), max(array.shape[axis], 1))
        array = np.take(array, index, axis)
        if array.dtype.kind == "f" and repetition.any():
            factor = (1 - _FADING * (axis + 1)) ** repetition
            array = (array * factor.reshape(-1, *[1] * (array.ndim - axis - 1))).astype(array.dtype)
    return np.asarray(array, order="C")
