"""Shapes that an engine is built for: the sizes of dynamic dimensions, and the resulting shapes of inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from runtimes.bundles.build_plan import ShapeRange
from runtimes.errors import UsageError
from runtimes.tensors import TensorSpec

Sizes = tuple[int, int, int]
"""Minimum, optimal and maximum size."""

DimensionRanges = Mapping[str, Sizes]
"""Sizes by dimension, for one optimization profile."""

BATCH: Sizes = (1, 1, 8)
"""Default sizes of a batch: optimal for single_stream, with room for more."""


def parse_ranges(texts: Sequence[str]) -> tuple[DimensionRanges, ...]:
    """Parse ranges such as `N=1:4:16` or `N=16`.

    A dimension that occurs again starts the next optimization profile, which inherits all other dimensions.

    Raises:
        UsageError: a text has another form, or its sizes are not in order.
    """
    found: list[dict[str, Sizes]] = []
    given: set[str] = set()
    for text in texts:
        match = re.fullmatch(r"(.+)=(\d+)(?::(\d+):(\d+))?", text)  # exporters give dimensions any names
        if match is None:
            raise UsageError(f"'{text}' is not a range of a dimension; expected DIM=MIN:OPT:MAX, as in N=1:4:16.")
        name, least = match[1], int(match[2])
        sizes = (least, int(match[3] or least), int(match[4] or least))
        if not 1 <= sizes[0] <= sizes[1] <= sizes[2]:
            raise UsageError(f"'{text}' is not in order; expected 1 <= MIN <= OPT <= MAX.")
        if not found or name in given:
            found.append(dict(found[-1]) if found else {})
            given = set()
        given.add(name)
        found[-1][name] = sizes
    return tuple(found)


def shape_ranges(
    inputs: Sequence[TensorSpec], ranges: Sequence[DimensionRanges] = ()
) -> tuple[Mapping[str, ShapeRange], ...]:
    """Compute the shapes of every input with a dynamic dimension, one mapping per optimization profile.

    The first dimension of the first input is taken as the batch, and has a default range.

    Args:
        inputs: the model's inputs.
        ranges: the sizes of dynamic dimensions, one mapping per optimization profile.

    Returns:
        The mappings; none if all inputs are static.

    Raises:
        UsageError: another dynamic dimension has no range, or a range names an unknown dimension.
    """
    dynamic = {size for spec in inputs for size in spec.shape if isinstance(size, str)}
    for name in (name for sizes in ranges for name in sizes if name not in dynamic):
        known = ", ".join(sorted(dynamic)) or "none"
        raise UsageError(f"--range names the dimension '{name}', which no input has; dynamic dimensions: {known}.")
    if not dynamic:
        return ()
    first = inputs[0].shape[0] if inputs[0].shape else None
    batch = {first: BATCH} if isinstance(first, str) else {}
    profiles = [{**batch, **sizes} for sizes in ranges or ({},)]
    return tuple({spec.name: _range(spec, sizes) for spec in inputs if not spec.is_static} for sizes in profiles)


def _range(spec: TensorSpec, sizes: DimensionRanges) -> ShapeRange:
    for size in spec.shape:
        if isinstance(size, str) and size not in sizes:
            raise UsageError(
                f"Dimension '{size}' of the input {spec} is dynamic, and an engine needs its range; "
                f"give --range {size}=MIN:OPT:MAX."
            )
    least, usual, largest = (
        spec.resolve({name: triple[which] for name, triple in sizes.items()}) for which in range(3)
    )
    return ShapeRange(least, usual, largest)
