"""Runs of a model at several sizes of each dynamic dimension."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, TypeVar

from runtimes.tensors import Array, TensorSpec
from toolchain.sources.sized_runs import Call, run_resized
from toolchain.sources.sizes import other_sizes, sizes_of

Kept = TypeVar("Kept")

_CHANGES: tuple[Callable[[int], int], ...] = (lambda n: n + 1, lambda n: 2 * n, lambda n: n // 2, lambda n: n - 1)
_MAX_FIXED = 2  # more dimensions that only fail are taken to depend on each other in a way that is not tried here


@dataclass(frozen=True)
class Run:
    """One inference.

    Attributes:
        changed: the dimensions whose sizes differ from the example's.
    """

    changed: tuple[str, ...]
    feed: Mapping[str, Array]
    outputs: Sequence[Array]


@dataclass(frozen=True)
class Runs(Generic[Kept]):
    """Results of a model at several sizes.

    Attributes:
        seen: of each inference that the model took, the size of every dynamic dimension, and what was kept of it; the
            first is at the example's sizes.
        fixed: dimensions of which the model took no size but the example's, each with the error.
    """

    seen: tuple[tuple[Mapping[str, int], Kept], ...]
    fixed: Mapping[str, Exception]


def run_at_sizes(
    specs: Sequence[TensorSpec],
    feed: Mapping[str, Array],
    call: Call,
    keep: Callable[[Run], Kept],
    further: Mapping[str, Collection[int]] = MappingProxyType({}),
) -> Runs[Kept]:
    """Run a model at the example's sizes, then with each dynamic dimension changed alone, and with all changed.

    Dimensions of which no change is taken are changed together, as the lengths of a cache and of its mask have to be.

    Args:
        specs: the inputs.
        feed: the example, whose own run has to succeed.
        call: the model.
        keep: computes what is kept of an inference, since the arrays of all may not fit into memory. Its errors are
            raised.
        further: sizes to try of a dimension beyond the usual ones.
    """
    sizes = sizes_of(specs, feed)
    seen = [(sizes, keep(Run((), feed, call(feed))))]
    changed: set[str] = set()
    errors: dict[str, Exception] = {}

    def taken(changes: Mapping[str, int]) -> bool:
        wanted = {**sizes, **changes}
        run = run_resized(specs, feed, wanted, call)
        if run is None:
            return False
        if run.error is not None:
            for name in changes:
                errors.setdefault(name, run.error)
            return False
        seen.append((wanted, keep(Run(tuple(changes), run.feed, run.outputs))))
        changed.update(changes)
        return True

    likely = next(other_sizes(specs, sizes))
    for name, size in sizes.items():
        for other in dict.fromkeys([likely[name], size + 1, *further.get(name, ())]):
            taken({name: other})
    if len(sizes) > 1:
        taken(likely)
    still = [name for name in sizes if name not in changed]
    for names in (still, *([name] for name in still)) if len(still) > 1 else (still,) if still else ():
        any(taken({name: change(sizes[name]) for name in names}) for change in _CHANGES)
    fixed = [name for name in still if name in errors and name not in changed]
    return Runs(tuple(seen), {name: errors[name] for name in fixed} if len(fixed) <= _MAX_FIXED else {})
