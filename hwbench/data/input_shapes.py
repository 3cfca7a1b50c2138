"""Sizes of dynamic dimensions: those that a model was timed at, and samples that are brought to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from runtimes.errors import UsageError
from runtimes.sample_arrays import Rows
from runtimes.samples import feeds
from runtimes.sampling.closed_loop import Block
from runtimes.tensors import Array, TensorSpec

Sizes = Mapping[str, int]
"""Sizes by dimension: {"L": 256}."""

_MOST_DIGITS = 9  # no dimension has more, and Python refuses to read thousands of them


def parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Read a shape, as in tokens=1x64, or the size of one dimension, as in L=64.

    Returns:
        The name of the input or the dimension, and the sizes.

    Raises:
        UsageError: the text is no shape; says how to write one.
    """
    name, equals, shape = text.partition("=")
    sizes = tuple(size for size in map(read_size, shape.split("x")) if size is not None)
    if not (equals and name.strip() and len(sizes) == shape.count("x") + 1):
        raise UsageError(f"The shape '{text}' cannot be read; write an input and its sizes, as in tokens=1x64.")
    return name.strip(), sizes


def read_size(text: str) -> int | None:
    """Read the size of a dimension, from 1 to 999,999,999; None if the text is no such number."""
    digits = text.strip()
    return (int(digits) or None) if digits.isdecimal() and len(digits) <= _MOST_DIGITS else None


def sizes_of(shapes: Sequence[tuple[str, tuple[int, ...]]], specs: Sequence[TensorSpec]) -> dict[str, int]:
    """Find the sizes of dimensions that shapes of inputs mean; a name may also be that of a dimension.

    Raises:
        UsageError: a name is neither an input's nor a dynamic dimension's, a shape does not fit its input, or a
            dimension has two sizes.
    """
    by_name, sizes = {spec.name: spec for spec in specs}, dict[str, int]()
    dimensions = {size for spec in specs for size in spec.shape if isinstance(size, str)}
    for name, shape in shapes:
        text = f"{name}={'x'.join(map(str, shape))}"
        if name not in by_name and not (name in dimensions and len(shape) == 1):
            known = ", ".join(map(str, specs))
            raise UsageError(f"The shape '{text}' names no input and no dynamic dimension; the model takes {known}.")
        wanted = by_name[name].shape if name in by_name else (name,)
        if len(wanted) != len(shape) or any(isinstance(a, int) and a != b for a, b in zip(wanted, shape)):
            raise UsageError(f"The shape '{text}' does not fit the model's input {by_name[name]}.")
        for dimension, size in zip(wanted, shape):
            if isinstance(dimension, str) and sizes.setdefault(dimension, size) != size:
                raise UsageError(
                    f"The shape '{text}' gives {dimension} the size {size}, and another {sizes[dimension]}."
                )
    return sizes


def resized(specs: Sequence[TensorSpec], arrays: Mapping[str, Rows], sizes: Sizes) -> dict[str, Array]:
    """Bring samples to some sizes: what is too long is cut, what is too short is repeated, so that values stay likely.

    Args:
        specs: the model's inputs.
        arrays: samples, as `samples.feeds` takes them.
        sizes: sizes of some dimensions; the others are as in the first sample.

    Returns:
        One feed a row.
    """
    each = list(feeds(specs, arrays))
    kept = {
        dimension: size
        for spec in specs
        for dimension, size in zip(spec.shape, each[0][spec.name].shape)
        if isinstance(dimension, str)
    }
    shapes = {spec.name: spec.resolve({**kept, **sizes}) for spec in specs}
    return {name: np.stack([_resized(feed[name], shape) for feed in each]) for name, shape in shapes.items()}


def _resized(array: Array, shape: tuple[int, ...]) -> Array:
    for axis, size in enumerate(shape):
        if array.shape[axis] != size:
            array = np.take(array, np.arange(size) % array.shape[axis], axis=axis)
    return array


def batch_of(specs: Sequence[TensorSpec], sizes: Sizes) -> int:
    """Return the number of samples in an inference at these sizes: that of the first axis which all inputs share."""
    first = {spec.shape[0] if spec.shape else None for spec in specs}
    dimension = first.pop() if len(first) == 1 else None
    return sizes.get(dimension, 1) if isinstance(dimension, str) else 1


def timed_at(specs: Sequence[TensorSpec], blocks: Sequence[Block]) -> dict[str, tuple[int, ...]]:
    """List the sizes of each dynamic dimension that blocks were timed at, the smallest first; none if not recorded."""
    found: dict[str, set[int]] = {}
    for shapes in (shapes for block in blocks for shapes in block.shapes):
        for spec in specs:
            for dimension, size in zip(spec.shape, shapes.get(spec.name, ())):
                if isinstance(dimension, str):
                    found.setdefault(dimension, set()).add(size)
    return {dimension: tuple(sorted(each)) for dimension, each in found.items()}


def shapes_text(specs: Sequence[TensorSpec], blocks: Sequence[Block]) -> str:
    """Write the shapes of dynamic inputs: "tokens=1x64", or "tokens=1x16 to 1x64 (3 sizes)"; empty without any."""
    dynamic = [spec for spec in specs if any(isinstance(size, str) for size in spec.shape)]
    return ", ".join(filter(None, (_shapes(spec.name, blocks) for spec in dynamic)))


def _shapes(name: str, blocks: Sequence[Block]) -> str:
    found = sorted({tuple(shapes[name]) for block in blocks for shapes in block.shapes if name in shapes})
    if not found:
        return ""
    small, large = ("x".join(map(str, shape)) for shape in (found[0], found[-1]))
    return f"{name}={small}" if len(found) == 1 else f"{name}={small} to {large} ({len(found)} sizes)"
