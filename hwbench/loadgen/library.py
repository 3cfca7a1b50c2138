"""The inputs of LoadGen's samples, laid out before the clock starts: one after another, or several in one inference."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runtimes import samples
from runtimes.errors import BackendError, UsageError
from runtimes.sampling import distinct_feeds
from runtimes.session import Session
from runtimes.tensors import Array


@dataclass(frozen=True)
class Library:
    """What the model is run on.

    Attributes:
        feeds: one inference's inputs each.
        each: samples in one of them.
        batched: those were joined; otherwise they are what the model takes, one sample or its own fixed batch, and
            LoadGen's sample is that.
        trial_ns: what the inference took that found this out, the session's first; empty where there was none.
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
        """The inputs of the inference whose first sample has this index."""
        return self.feeds[index % len(self.feeds)]


def lay_out(session: Session, arrays: Mapping[str, Array], together: int) -> Library:
    """Cut arrays of samples for a session.

    Samples that come together are one inference where every input's first axis is dynamic and the model can do it: a
    reshape inside may hold a batch of one.

    Raises:
        UsageError: there are no samples, or the model's fixed batch does not divide those that come together.
    """
    single = tuple(distinct_feeds(session, arrays))
    if not single:
        raise UsageError("There are no samples to measure with.")
    fixed = samples.batch_size(session.inputs, arrays)
    if together % fixed:
        raise UsageError(f"The model's batch is fixed at {fixed}, and {together} samples are not a multiple of it.")
    if together == 1 or fixed > 1 or not _is_dynamic(session, arrays):
        return Library(single, fixed, batched=False)
    turns = itertools.cycle(single)
    count = -(-len(single) // together)
    joined = tuple(_join([next(turns) for _ in range(together)]) for _ in range(count))
    can, trial_ns = _try(session, joined[0], together)
    return Library(joined, together, True, trial_ns) if can else Library(single, 1, False, trial_ns)


def _is_dynamic(session: Session, arrays: Mapping[str, Array]) -> bool:
    return all(
        spec.shape and isinstance(spec.shape[0], str) and arrays[spec.name].ndim == len(spec.shape)
        for spec in session.inputs
    )


def _join(feeds: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}


def _try(session: Session, feed: dict[str, Array], together: int) -> tuple[bool, tuple[int, ...]]:
    """Whether what was joined runs as one, and how long that took; no time where it does not run at all."""
    start = time.perf_counter_ns()
    try:
        outputs = session.run(feed)
    except BackendError:
        return False, ()
    took_ns = time.perf_counter_ns() - start
    return all(output.ndim > 0 and len(output) % together == 0 for output in outputs.values()), (took_ns,)
