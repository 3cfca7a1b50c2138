"""Warnings about a report's latency: reasons why it may be unstable, and remedies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwbench.machine.identity import Machine
from hwbench.measurements import interference
from hwbench.measurements.latency import Latency
from hwbench.measurements.report import Report
from hwbench.wording import count

_MAX_MEDIAN_RATIO = 1.25  # largest ratio of the slowest block's median to the fastest block's


@dataclass(frozen=True)
class StabilityWarning:
    """One reason why a latency may be unstable.

    Attributes:
        kind: "quota", "threads", "warm-up", "disturbed", "others" or "wandering", by which equal warnings of several
            candidates can be joined.
        text: one clause with figures and a remedy.
    """

    kind: str
    text: str


def stability_warnings(report: Report) -> tuple[StabilityWarning, ...]:
    """List the warnings about a report's latency; none if it was not measured."""
    if report.latency is None:
        return ()
    quota = _quota(report.latency, report.machine)
    return (*quota, *_warnings(report.latency, report.machine.cores))


def competes(latency: Latency, cores: int) -> bool:
    """Tell whether threads wait for one another: they outnumber the processors, or LoadGen runs beside its workers."""
    return latency.threads > cores or latency.scenario in ("server", "offline")


def _quota(latency: Latency, machine: Machine) -> Iterator[StabilityWarning]:
    threads = latency.threads or machine.cores
    if machine.cpu_quota is not None and threads > machine.cpu_quota:
        allowed = f"{machine.cpu_quota:.3g} processors' time"
        text = f"the control group pauses {count(threads, 'thread')} that may use {allowed}"
        yield StabilityWarning("quota", f"{text}; raise its quota, or measure outside of it")


def _warnings(latency: Latency, cores: int) -> Iterator[StabilityWarning]:
    blocks, among_themselves = latency.blocks, competes(latency, cores)
    if latency.threads > cores:
        text = f"{latency.threads} threads on {count(cores, 'processor')} wait for one another"
        yield StabilityWarning("threads", f"{text}; give --threads {cores} or fewer")
    unsettled = sum(not block.settled for block in blocks)
    if unsettled:
        text = f"{unsettled} of {len(blocks)} processes did not settle during warm-up"
        yield StabilityWarning("warm-up", f"{text}; measure for longer")
    reasons = [interference.interruption(block, waiting=not among_themselves) for block in blocks]
    disturbed = Counter(reason for reason in reasons if reason is not None)
    if 2 * disturbed.total() > len(blocks):
        why = ", ".join(f"{number} {reason}" for reason, number in disturbed.most_common())
        text = f"{disturbed.total()} of {len(blocks)} processes were disturbed ({why})"
        yield StabilityWarning("disturbed", f"{text}; measure on a quieter machine")
    others = interference.other_processors(blocks) if among_themselves else None
    if others is not None and others > interference.MAX_OTHER_PROCESSORS * max(1.0, cores / 2):
        text = f"other programs used {others:.1f} of {count(cores, 'processor')} during the measurement"
        yield StabilityWarning("others", f"{text}; measure on a quieter machine")
    # Random arrivals make the waiting differ from block to block anyway, and offline's samples are no latencies.
    closed = blocks if latency.scenario in ("single_stream", "multi_stream") else ()
    medians = [float(np.median(block.samples_ns)) for block in closed]
    if medians and max(medians) > _MAX_MEDIAN_RATIO * min(medians):
        text = f"the median varied from {min(medians) / 1e6:.3g} to {max(medians) / 1e6:.3g} ms between processes"
        yield StabilityWarning("wandering", f"{text}; something else uses this machine, or its clock changes")
