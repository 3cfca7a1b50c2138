"""Sample library: the inputs of LoadGen's samples, made before the clock starts, single or joined in one inference."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import psutil

from runtimes import samples
from runtimes.errors import BackendError, UsageError
from runtimes.inference.session import Session
from runtimes.sample_arrays import RaggedArray, Rows
from runtimes.sampling.closed_loop import distinct_feeds
from runtimes.tensors import Array

_QUERY_SAMPLE_BYTES = 450
"""Size of one LoadGen sample as Python objects, by resident memory: 148 for the sample, 141 for its id and index, 164
for its response."""


@dataclass(frozen=True)
class Library:
    """Inputs of a model.

    Attributes:
        feeds: inputs of one inference each.
        each: number of samples in one of these feeds.
        batched: True if samples were joined; otherwise a feed is one sample or the model's own fixed batch, and counts
            as one of LoadGen's samples.
        trial_ns: time of the inference that tested the joining, the session's first; empty without it.
    """

    feeds: tuple[dict[str, Array], ...]
    each: int
    batched: bool
    trial_ns: tuple[int, ...] = ()

    @property
    def stride(self) -> int:
        """LoadGen's samples per inference."""
        return self.each if self.batched else 1

    def feed(self, index: int) -> dict[str, Array]:
        """Return the inputs of the inference whose first sample has this index."""
        return self.feeds[index % len(self.feeds)]


def lay_out(session: Session, arrays: Mapping[str, Rows], together: int) -> Library:
    """Cut arrays of samples for a session.

    Samples that arrive together are one inference if every input's first axis is dynamic and the model can do it: a
    reshape inside may fix a batch of one.

    Raises:
        UsageError: there are no samples, the model's fixed batch does not divide those that arrive together, or they
            do not fit into the free memory.
    """
    single = tuple(distinct_feeds(session, arrays))
    if not single:
        raise UsageError("There are no samples to measure with.")
    fixed = samples.batch_size(session.inputs, arrays)
    if together % fixed:
        raise UsageError(f"The model's batch is fixed at {fixed}, and {together} samples are not a multiple of it.")
    can_join = together > 1 and fixed == 1 and _is_dynamic(session, arrays)
    _check_memory(together, sum(array.nbytes for array in single[0].values()) if can_join else 0)
    if not can_join:
        return Library(single, fixed, batched=False)
    turns = itertools.cycle(single)
    count = -(-len(single) // together)
    joined = tuple(_join([next(turns) for _ in range(together)]) for _ in range(count))
    can, trial_ns = _try(session, joined[0], together)
    return Library(joined, together, True, trial_ns) if can else Library(single, 1, False, trial_ns)


def _check_memory(together: int, sample_bytes: int) -> None:
    """Refuse more samples than fit into memory, before minutes go into preparing them."""
    needed, free = together * (sample_bytes + _QUERY_SAMPLE_BYTES), psutil.virtual_memory().available
    if needed > free:
        raise UsageError(
            f"{together:,} samples that arrive together take {needed / 2**30:,.1f} GiB, and {free / 2**30:,.1f} GiB of "
            "memory are free; give fewer with --batch."
        )


def _is_dynamic(session: Session, arrays: Mapping[str, Rows]) -> bool:
    return all(
        spec.shape
        and isinstance(spec.shape[0], str)
        and arrays[spec.name].ndim == len(spec.shape)
        and not isinstance(arrays[spec.name], RaggedArray)  # samples of other sizes make no batch
        for spec in session.inputs
    )


def _join(feeds: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}


def _try(session: Session, feed: dict[str, Array], together: int) -> tuple[bool, tuple[int, ...]]:
    """Tell whether joined samples run as one inference, and return its time in ns; no time if it does not run."""
    start = time.perf_counter_ns()
    try:
        outputs = session.run(feed)
    except BackendError:
        return False, ()
    took_ns = time.perf_counter_ns() - start
    return all(output.ndim > 0 and len(output) % together == 0 for output in outputs.values()), (took_ns,)
