"""Which blocks count: those in which nothing but the model had the machine.

Nothing here looks at the model's own latency: to drop what is slow would be to decide what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runtimes.sampling.closed_loop import Block

WAITED = 0.01
"""The share of a block's time that its threads may have waited for a processor, or a hypervisor taken."""
OTHERS = 0.1
"""Processors that other programs may take where a load fills all; Linux counts them in steps of 10 ms."""
SLOWED = 0.05
"""How much longer than in the fastest tenth of blocks the probe may take."""
NOISE = 4.0
"""How much slower than on a quiet machine a block's fastest run may be: a neighbour on the same core and a clock that
falls take half each, and a run that meets a preemption is not the fastest."""


@dataclass(frozen=True)
class Surroundings:
    """What a block met.

    Attributes:
        probe_ns: the median of its probes; None where there were none.
        interruption: what took the processor away from it, if anything did for long enough to matter.
    """

    probe_ns: float | None
    interruption: str | None = None


def surroundings(block: Block) -> Surroundings:
    """What a block met, from what it recorded."""
    return Surroundings(float(np.median(block.probe_ns)) if block.probe_ns else None, interruption(block))


def disturbances(met: Sequence[Surroundings], reference_ns: float | None = None) -> tuple[str | None, ...]:
    """Why each block does not count; None for those that do.

    Args:
        met: what the blocks met.
        reference_ns: what the probe took here in quieter times, where anyone remembers.
    """
    level = reference(met)
    known = [value for value in (level, reference_ns) if value is not None]
    bar = (1 + SLOWED) * min(known) if known else 0.0
    slow = [each.probe_ns is not None and each.probe_ns > bar for each in met]
    return tuple(each.interruption or ("had a slow probe" if is_slow else None) for each, is_slow in zip(met, slow))


def reference(met: Sequence[Surroundings]) -> float | None:
    """The probe's time when nothing disturbs it: that of the fastest tenth of blocks."""
    probes = [each.probe_ns for each in met if each.probe_ns is not None]
    return float(np.quantile(probes, 0.1)) if probes else None


def interruption(block: Block, *, waiting: bool = True) -> str | None:
    """What took the processor away from a block for long enough to matter; None where nothing did.

    Args:
        block: what was measured.
        waiting: whether that its threads waited is anyone else's doing; where they are more than the processors, they
            wait for one another.
    """
    seen = block.conditions
    if seen is None:
        return None
    if waiting and (seen.waited_ns or 0) > WAITED * seen.wall_ns:
        return "waited for a processor"
    if (seen.stolen_ns or 0) > WAITED * seen.wall_ns:
        return "lost the processor to the hypervisor"
    return "ran on a processor that throttled" if seen.throttled else None


def others_ns(block: Block) -> int | None:
    """Processor time that other programs used during a block; None where the system does not say."""
    seen = block.conditions
    return None if seen is None or seen.busy_ns is None else max(seen.busy_ns - block.cpu_ns, 0)


def others(blocks: Sequence[Block]) -> float | None:
    """Processors that other programs took during all of them, on average; None where the system does not say."""
    known = [
        (taken_ns, block.conditions.wall_ns)
        for block in blocks
        if block.conditions is not None and (taken_ns := others_ns(block)) is not None
    ]
    wall_ns = sum(wall for _, wall in known)
    return sum(taken for taken, _ in known) / wall_ns if wall_ns else None


def crowded(blocks: Sequence[Block]) -> str | None:
    """What disturbed blocks under a load that fills all processors, whose threads wait for one another anyway."""
    taken = others(blocks)
    if taken is not None and taken > OTHERS:
        return f"other programs took {taken:.1f} processors"
    reasons = [reason for block in blocks if (reason := interruption(block, waiting=False)) is not None]
    return f"most processes {reasons[0]}" if 2 * len(reasons) > len(blocks) else None
