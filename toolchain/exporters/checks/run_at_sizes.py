"""Runs of a model at several sizes of each dynamic dimension."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from runtimes.tensors import Array, TensorSpec
from toolchain.sources.sizes import batches, other_sizes, resized, sizes_of

Call = Callable[[Mapping[str, Array]], Sequence[Array]]
"""Computes a model's outputs from arrays by input; raises an exception where the model does not take their sizes."""

_CHANGES: tuple[Callable[[int], int], ...] = (lambda n: n + 1, lambda n: 2 * n, lambda n: n // 2, lambda n: n - 1)
_LONG = 32  # sizes from here on are halved, since some models have a longest
_MAX_ELEMENTS = 1 << 24  # of the inputs together: enough for a long sequence, little enough for any machine
_MAX_FIXED = 2  # more dimensions that only fail are taken to depend on each other in a way that is not tried here


@dataclass(frozen=True)
class Run:
    """One inference.

    Attributes:
        changed: the dimensions whose sizes differ from the example's.
        sizes: the size of every dynamic dimension.
    """

    changed: tuple[str, ...]
    sizes: Mapping[str, int]
    feed: Mapping[str, Array]
    outputs: Sequence[Array]


@dataclass(frozen=True)
class Runs:
    """What a model computed at several sizes.

    Attributes:
        runs: those that the model took; the first is at the example's sizes.
        fixed: dimensions of which the model took no size but the example's, each with the error.
    """

    runs: tuple[Run, ...]
    fixed: Mapping[str, Exception]


def run_at_sizes(
    specs: Sequence[TensorSpec],
    feed: Mapping[str, Array],
    call: Call,
    further: Mapping[str, Collection[int]] = MappingProxyType({}),
) -> Runs:
    """Run a model at the example's sizes, then with each dynamic dimension changed alone, and with all changed.

    Dimensions of which no change is taken are changed together, as the lengths of a cache and of its mask have to be.

    Args:
        specs: the inputs.
        feed: the example, whose own run has to succeed.
        call: the model.
        further: sizes to try of a dimension beyond the usual ones.
    """
    sizes = sizes_of(specs, feed)
    runs = [Run((), sizes, feed, call(feed))]
    errors: dict[str, Exception] = {}

    def taken(changes: Mapping[str, int]) -> bool:
        other = resized(specs, feed, {**sizes, **changes})
        if any(size < 1 for size in changes.values()) or sum(array.size for array in other.values()) > _MAX_ELEMENTS:
            return False
        try:
            outputs = call(other)
        except Exception as error:  # a model may raise any exception
            for name in changes:
                errors.setdefault(name, error)
            return False
        runs.append(Run(tuple(changes), {**sizes, **changes}, other, outputs))
        return True

    batch = batches(specs)
    for name, size in sizes.items():
        usual = [size + 1] if name in batch else [size * 2 if size < _LONG else size // 2, size + 1]
        for other in dict.fromkeys([*usual, *further.get(name, ())]):
            taken({name: other})
    if len(sizes) > 1:
        taken(next(other_sizes(specs, sizes)))
    still = [name for name in sizes if not any(name in run.changed for run in runs)]
    for names in (still, *([name] for name in still)) if len(still) > 1 else (still,) if still else ():
        any(taken({name: change(sizes[name]) for name in names}) for change in _CHANGES)
    fixed = [name for name in still if name in errors and not any(name in run.changed for run in runs)]
    return Runs(tuple(runs), {name: errors[name] for name in fixed} if len(fixed) <= _MAX_FIXED else {})
