"""Growth of the latency of a step with its place in the sequence, of models with states."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from hwbench.measurements.latency import Latency
from runtimes.sampling.closed_loop import Block
from runtimes.tensors import Array

_SHARE = 10  # the first and the last tenth of the steps are compared


@dataclass(frozen=True)
class StepGrowth:
    """Medians of the first and of the last steps of sequences.

    Attributes:
        steps: the number of steps of the longest sequence.
        compared: the number of steps at each end.
        first_ms, last_ms: the p50 of these steps.
    """

    steps: int
    compared: int
    first_ms: float
    last_ms: float


def step_growth(latency: Latency) -> StepGrowth | None:
    """Compute the growth over all blocks.

    Returns:
        None for a model without states, if no sequence has two steps, or if not every time was kept.
    """
    if not all(block.sequence_steps and block.thinned_from is None for block in latency.blocks):
        return None
    steps = np.concatenate([step_numbers(block) for block in latency.blocks])
    longest = int(steps.max()) + 1
    if longest < 2:
        return None
    compared = -(-longest // _SHARE)
    first, last = (latency.samples_ms[steps < compared], latency.samples_ms[steps >= longest - compared])
    return StepGrowth(longest, compared, float(np.median(first)), float(np.median(last)))


def step_numbers(block: Block) -> Array:
    """Return the number of each sample's step in its sequence, from 0 on: integers, as many as `samples_ns`."""
    turns = itertools.chain.from_iterable(map(range, itertools.cycle(block.sequence_steps)))
    return np.fromiter(itertools.islice(turns, len(block.samples_ns)), np.int64)
