"""Roofline: the shortest time that a machine can take for a model's work, and its share of the measured latency.

Williams, Waterman and Patterson (2009), Roofline: an Insightful Visual Performance Model for Multicore Architectures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwbench.measurements import memory_bandwidth
from hwbench.measurements.peaks import Peaks
from hwbench.measurements.report import NotMeasuredError, Report
from runtimes.bundles.work import Work


@dataclass(frozen=True)
class Roofline:
    """The bound of an artifact on the machine that measured it.

    Attributes:
        time_ms: the larger of the time to compute all operations and the time to move all bytes, at the peak rates.
        bound: the larger of these two times.
        share: `time_ms` as a share of the median latency. Above 1 a count or a peak is wrong, or the machine was busy
            when the peak was measured.
    """

    time_ms: float
    bound: Literal["compute", "memory"]
    share: float


def roofline(report: Report) -> Roofline:
    """Compute a report's roofline.

    Raises:
        NotMeasuredError: its latency, its work or the machine's peaks are unknown; says which, and why.
    """
    if report.latency is None:
        raise NotMeasuredError(report.unmeasured.get("latency", "latency was not measured"))
    for name in ("work", "peaks"):
        if name in report.unmeasured:
            raise NotMeasuredError(report.unmeasured[name])
    if report.artifact.work is None:
        raise NotMeasuredError("the model's operations were not counted")
    if report.peaks is None:
        raise NotMeasuredError("the machine's peaks were not measured; edgewright profiles --peaks measures them")
    if report.latency.scenario != "single_stream":
        raise NotMeasuredError("the roofline is of one inference at a time, and other scenarios overlap them")
    time_ms, bound = _least(report.artifact.work, report.peaks)
    return Roofline(time_ms, bound, time_ms / float(np.median(report.latency.samples_ms)))


def _least(work: Work, peaks: Peaks) -> tuple[float, Literal["compute", "memory"]]:
    if work.uncounted:
        raise NotMeasuredError(f"the operations of {', '.join(work.uncounted)} cannot be counted")
    compute_s = 0.0
    for precision, operations in work.operations.items():
        rate = peaks.operations_per_s.get(precision)
        if rate is None:
            why = peaks.missing.get(precision, "it was not measured")
            raise NotMeasuredError(f"this machine has no peak rate in {precision}: {why}")
        compute_s += operations / rate
    # Fewer bytes than the smallest working set measured may be read faster than any of them.
    rate = memory_bandwidth.bound(peaks.memory, work.bytes)
    memory_s = work.bytes / rate if rate is not None else 0.0
    if not compute_s and not memory_s:
        raise NotMeasuredError("the model has no products, and moves too few bytes for a bound")
    return max(compute_s, memory_s) * 1e3, "compute" if compute_s >= memory_s else "memory"
