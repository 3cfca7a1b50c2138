"""Interference: the effects of other programs, the hypervisor or heat on a block while it was measured.

Nothing here reads the model's own latency: excluding blocks because they are slow would bias the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runtimes.sampling.closed_loop import Block

MAX_WAITED = 0.01
"""Share of an undisturbed block's time that its threads may wait for a processor, or that a hypervisor may take."""
MAX_OTHER_PROCESSORS = 0.1
"""Processors that other programs may use under a load that fills all; Linux counts their time in steps of 10 ms."""
MAX_PROBE_SLOWDOWN = 0.05
"""Relative slowdown of an undisturbed block's probe, compared with the fastest tenth of blocks."""
MAX_SLOWDOWN = 4.0
"""Factor by which interference may slow down a block's fastest run: a neighbour on the same core and a falling clock
take half each, and a run that is preempted is not the fastest."""


@dataclass(frozen=True)
class BlockInterference:
    """Interference with one block.

    Attributes:
        probe_ns: the median of its probes; None without any.
        interruption: the event that took the processor away for long enough to matter, as a clause; None without one.
    """

    probe_ns: float | None
    interruption: str | None = None


def block_interference(block: Block) -> BlockInterference:
    """Find the interference with a block in its records."""
    return BlockInterference(float(np.median(block.probe_ns)) if block.probe_ns else None, interruption(block))


def disturbances(blocks: Sequence[BlockInterference], reference_ns: float | None = None) -> tuple[str | None, ...]:
    """Name the cause that disturbed each block, as a clause; None for undisturbed blocks.

    Args:
        blocks: the interference with each.
        reference_ns: the probe's time on this machine in its quietest earlier run; None if it is not known.
    """
    level = undisturbed_probe_ns(blocks)
    known = [value for value in (level, reference_ns) if value is not None]
    limit = (1 + MAX_PROBE_SLOWDOWN) * min(known) if known else 0.0
    slow = [block.probe_ns is not None and block.probe_ns > limit for block in blocks]
    return tuple(
        block.interruption or ("had a slow probe" if is_slow else None) for block, is_slow in zip(blocks, slow)
    )


def undisturbed_probe_ns(blocks: Sequence[BlockInterference]) -> float | None:
    """Estimate the probe's time without interference, by the fastest tenth of blocks; None without probes."""
    probes = [block.probe_ns for block in blocks if block.probe_ns is not None]
    return float(np.quantile(probes, 0.1)) if probes else None


def interruption(block: Block, *, waiting: bool = True) -> str | None:
    """Name the event that took the processor from a block for long enough to matter, as a clause; None without one.

    Args:
        block: the measurement.
        waiting: True if the block's waiting threads are a sign of other programs; False for more threads than
            processors, which wait for one another.
    """
    conditions = block.conditions
    if conditions is None:
        return None
    if waiting and (conditions.waited_ns or 0) > MAX_WAITED * conditions.wall_ns:
        return "waited for a processor"
    if (conditions.stolen_ns or 0) > MAX_WAITED * conditions.wall_ns:
        return "lost the processor to the hypervisor"
    return "ran on a processor that throttled" if conditions.throttled else None


def other_programs_ns(block: Block) -> int | None:
    """Return the processor time of other programs during a block; None if the system does not report it."""
    conditions = block.conditions
    if conditions is None or conditions.busy_ns is None:
        return None
    return max(conditions.busy_ns - block.cpu_ns, 0)


def other_processors(blocks: Sequence[Block]) -> float | None:
    """Compute how many processors other programs used on average; None if the system does not report it."""
    known = [
        (used_ns, block.conditions.wall_ns)
        for block in blocks
        if block.conditions is not None and (used_ns := other_programs_ns(block)) is not None
    ]
    wall_ns = sum(wall for _, wall in known)
    return sum(used for used, _ in known) / wall_ns if wall_ns else None


def load_interference(blocks: Sequence[Block]) -> str | None:
    """Name the cause that disturbed blocks under a load that fills all processors, as a clause; None without one.

    The threads of such a load wait for one another anyway, so their waiting is no sign of interference.
    """
    used = other_processors(blocks)
    if used is not None and used > MAX_OTHER_PROCESSORS:
        return f"other programs used {used:.1f} processors"
    reasons = [reason for block in blocks if (reason := interruption(block, waiting=False)) is not None]
    return f"most processes {reasons[0]}" if 2 * len(reasons) > len(blocks) else None
