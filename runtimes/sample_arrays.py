"""Arrays whose first axis is the samples, which may be of mixed sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from runtimes.errors import FeedError
from runtimes.tensors import Array


class Rows(Protocol):
    """An array whose first axis is the samples: in memory, on disk (`NpzArray`), or of mixed sizes (`RaggedArray`)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of all axes, the number of samples first; the largest of each axis, if the samples differ."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""

    @property
    def ndim(self) -> int:
        """Number of axes."""

    @property
    def size(self) -> int:
        """Number of elements."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


class RaggedArray:
    """Samples of mixed sizes: one array, padded to the largest, and the shape of each.

    `array[i]` is one sample in its own size; `array[rows]` is several of them, again as a `RaggedArray`.

    Args:
        padded: all samples, each filled up to the largest size of every axis.
        shapes: the samples' own shapes: integers [samples, axes of a sample].

    Raises:
        ValueError: the shapes do not fit the array; says why.
    """

    def __init__(self, padded: Rows, shapes: Array) -> None:
        wanted = (len(padded), padded.ndim - 1)
        if shapes.dtype.kind not in "iu" or shapes.shape != wanted:
            raise ValueError(f"its shapes are {shapes.dtype}{list(shapes.shape)}; expected integers of {list(wanted)}")
        if (shapes < 0).any() or (shapes > np.array(padded.shape[1:], np.int64)).any():
            raise ValueError(f"a sample's shape is negative or exceeds the padded array's, {list(padded.shape[1:])}")
        self.padded, self.shapes = padded, shapes

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of samples, and the largest size of every axis."""
        return self.padded.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self.padded.dtype

    @property
    def ndim(self) -> int:
        """Number of axes, the samples' included."""
        return self.padded.ndim

    @property
    def size(self) -> int:
        """Number of elements, without the padding."""
        return sum(math.prod(map(int, shape)) for shape in self.shapes)

    def __len__(self) -> int:
        return len(self.padded)

    def __iter__(self) -> Iterator[Array]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, rows: Any, /) -> Any:
        if isinstance(rows, slice):
            rows = range(len(self))[rows]
        if isinstance(rows, (Sequence, np.ndarray)):
            picked = [int(row) for row in rows]
            return RaggedArray(self.padded[picked], self.shapes[picked])
        return np.asarray(self.padded[rows][tuple(map(slice, self.shapes[rows]))])

    def __array__(self, *args: Any, **kwargs: Any) -> Array:
        sizes = sorted({str([*map(int, shape)]) for shape in self.shapes})
        raise ValueError(f"the samples have mixed sizes ({', '.join(sizes[:3])}); take them one by one")


def stack(samples: Sequence[Array]) -> Array | RaggedArray:
    """Join samples along a new first axis: as an array if they have one shape, else padded.

    Raises:
        FeedError: they differ in their number of axes.
    """
    shapes = sorted({sample.shape for sample in samples})
    if len(shapes) == 1:
        return np.stack(samples)
    if len({len(shape) for shape in shapes}) != 1:
        texts = ", ".join(str([*shape]) for shape in shapes[:4])
        raise FeedError(f"Samples differ in their number of axes: {texts}.")
    padded = np.zeros((len(samples), *map(max, zip(*shapes))), np.result_type(*samples))
    for row, sample in zip(padded, samples):
        row[tuple(map(slice, sample.shape))] = sample
    return RaggedArray(padded, np.array([sample.shape for sample in samples], np.int64))


def flat(array: Rows) -> Array:
    """Return all elements along one axis, without padding."""
    if isinstance(array, RaggedArray):
        return np.concatenate([sample.reshape(-1) for sample in array])
    return np.asarray(array[:]).reshape(-1)
