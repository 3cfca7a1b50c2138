"""The shapes an engine is built for: sizes of dynamic dimensions, and what they make of each input."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from runtimes.bundles.build_plan import ShapeRange
from runtimes.errors import UsageError
from runtimes.tensors import TensorSpec

Sizes = tuple[int, int, int]
"""Least, most usual and largest size."""

DimensionRanges = Mapping[str, Sizes]
"""Sizes of one optimization profile, by dimension."""

BATCH: Sizes = (1, 1, 8)
"""What a batch is, unless it is said: what single_stream measures, and room for more."""


def parse_ranges(texts: Sequence[str]) -> tuple[DimensionRanges, ...]:
    """Read `N=1:4:16`, or `N=16`. A dimension that comes again starts the next optimization profile, which takes from
    the one before what it does not say.

    Raises:
        UsageError: a text is of another form, or its sizes are not in order.
    """
    found: list[dict[str, Sizes]] = []
    given: set[str] = set()
    for text in texts:
        match = re.fullmatch(r"(.+)=(\d+)(?::(\d+):(\d+))?", text)  # exporters name dimensions as they like
        if match is None:
            raise UsageError(f"'{text}' is no range of a dimension; expected DIM=MIN:OPT:MAX, as in N=1:4:16.")
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
    """One mapping per optimization profile, of every input that has a dynamic dimension; none if all are static.

    The first dimension of the first input is taken for the batch and need not be given.

    Raises:
        UsageError: another dynamic dimension has no range, or a range is of no dimension.
    """
    dynamic = {size for spec in inputs for size in spec.shape if isinstance(size, str)}
    for name in (name for sizes in ranges for name in sizes if name not in dynamic):
        known = ", ".join(sorted(dynamic)) or "none"
        raise UsageError(f"--range names the dimension '{name}', which no input has; dynamic are: {known}.")
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
