"""Why a report's latency may be unstable, and what to try."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwbench.measurements import interference
from hwbench.measurements.latency import Latency
from hwbench.measurements.report import Report
from hwbench.wording import count

_WANDERED = 1.25


@dataclass(frozen=True)
class Doubt:
    """One reason.

    Attributes:
        kind: what several candidates may share: "threads", "warm-up", "disturbed", "others" or "wandering".
        text: with the figures.
    """

    kind: str
    text: str


def doubts(report: Report) -> tuple[Doubt, ...]:
    """All reasons; none where nothing was measured, or nothing is doubtful."""
    return tuple(_doubts(report.latency, report.machine.cores)) if report.latency is not None else ()


def competes(latency: Latency, cores: int) -> bool:
    """Whether its threads wait for one another: they are more than the processors, as LoadGen's and its workers are."""
    return latency.threads > cores or latency.scenario in ("server", "offline")


def _doubts(latency: Latency, cores: int) -> Iterator[Doubt]:
    blocks, among_themselves = latency.blocks, competes(latency, cores)
    if latency.threads > cores:
        told = f"{latency.threads} threads on {count(cores, 'processor')} wait for one another"
        yield Doubt("threads", f"{told}; give --threads {cores} or fewer")
    unsettled = sum(not block.settled for block in blocks)
    if unsettled:
        told = f"{unsettled} of {len(blocks)} blocks did not settle during warm-up"
        yield Doubt("warm-up", f"{told}; measure for longer")
    reasons = [interference.interruption(block, waiting=not among_themselves) for block in blocks]
    disturbed = Counter(reason for reason in reasons if reason is not None)
    if 2 * disturbed.total() > len(blocks):
        why = ", ".join(f"{number} {reason}" for reason, number in disturbed.most_common())
        told = f"{disturbed.total()} of {len(blocks)} blocks were disturbed ({why})"
        yield Doubt("disturbed", f"{told}; measure on a quieter machine")
    others = interference.others(blocks) if among_themselves else None
    if others is not None and others > interference.OTHERS * max(1.0, cores / 2):
        told = f"other programs took {others:.1f} of {count(cores, 'processor')} meanwhile"
        yield Doubt("others", f"{told}; measure on a quieter machine")
    # At random arrivals, waiting differs from block to block without any doubt; of offline, latencies say nothing.
    closed = blocks if latency.scenario in ("single_stream", "multi_stream") else ()
    medians = [float(np.median(block.samples_ns)) for block in closed]
    if medians and max(medians) > _WANDERED * min(medians):
        span = f"between {min(medians) / 1e6:.3g} and {max(medians) / 1e6:.3g} ms"
        told = f"the median moved {span} from block to block"
        yield Doubt("wandering", f"{told}; something else uses this machine, or its clock changes")
