"""Sides of a gate: what measures one block of the candidate or of the baseline, and rounds that hold one of each."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from hwbench.gate.rounds import Rounds
from hwbench.progress import Tick
from hwbench.results.opened_bundle import OpenedBundle, at_batch
from hwbench.targets import CrashError, Target
from runtimes.npz import write as write_npz
from runtimes.sampling.closed_loop import Block, SamplingPlan

Side = Callable[[], Block]
"""A function that measures one block in a process of its own."""

CANDIDATE, BASELINE = 0, 1


class SideError(Exception):
    """A measuring process crashed: that of `CANDIDATE` or of `BASELINE`."""

    def __init__(self, side: int, crash: CrashError) -> None:
        super().__init__(str(crash))
        self.side = side

    @property
    def name(self) -> str:
        """The side's name in sentences."""
        return ("candidate", "baseline")[self.side]


def bundle_side(item: OpenedBundle, target: Target, plan: SamplingPlan, inputs: Path) -> Side:
    """Make the side of a bundle.

    Args:
        item: the bundle, at the shapes that it is timed at.
        target: the machine, or the interpreter on it, that runs the bundle.
        plan: the length of a block.
        inputs: the .npz that its samples are written to.
    """
    write_npz(inputs, item.inputs)
    return lambda: at_batch(target.sample(item.path, inputs, plan), item)


def alternate(
    sides: Sequence[Side], seed: int | None = None, tick: Tick | None = None, reference_ns: float | None = None
) -> Callable[[], Rounds]:
    """Make a function that measures one more round and returns all so far, for `stopping_rule.decide`.

    The order within a round is random, so that drift affects all sides alike, whichever is first (Bulej et al., 2020,
    Duet benchmarking; Laaber et al., 2019).

    Args:
        sides: that of the candidate, and perhaps that of the baseline.
        seed: the random seed of the order; None for a seed from the system.
        tick: called after each round.
        reference_ns: the probe's time on this machine in its quietest earlier run; None if it is not known.

    Raises:
        SideError: by the function, when a measuring process crashed.
    """
    order = random.Random(seed)
    blocks: tuple[list[Block], list[Block]] = ([], [])

    def take() -> Rounds:
        for side in order.sample(range(len(sides)), len(sides)):
            try:
                blocks[side].append(sides[side]())
            except CrashError as crash:
                raise SideError(side, crash) from None
        if tick is not None:
            tick(f"round {len(blocks[CANDIDATE])}")
        return Rounds(tuple(blocks[CANDIDATE]), tuple(blocks[BASELINE]), reference_ns)

    return take
