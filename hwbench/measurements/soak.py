"""Soak: a long measurement in one process, which shows drift, throttling, and memory that grows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwbench.stats.trends import Trend, trend
from runtimes.sampling.closed_loop import UNLIMITED_RUNS, Block, SamplingPlan
from runtimes.tensors import Array

_WINDOWS = 60
_MIN_VALUES = 8  # by Kendall's exact test, six values are never significant at 0.001, and seven hardly ever
_DRIFT, _GROWTH = 0.03, 0.01  # relative changes that matter; memory must also grow by 4 MiB
_GROWTH_BYTES = 4 << 20


@dataclass(frozen=True)
class Soak:
    """Results of a soak.

    Attributes:
        runs: number of inferences.
        seconds: the time that they took together, with the time between them where it is known.
        latency: trend of the median latencies of sixty windows, or of fewer in a short soak.
        probe: trend of the speed probe, which slows down if the machine does; None if it ran too seldom.
        memory: trend of the process's memory; None if the system does not report it.
        grown_bytes: growth of that memory from start to end.
        throttled: number of times that a processor slowed down for its heat; None if the system does not report it.
    """

    runs: int
    seconds: float
    latency: Trend
    probe: Trend | None
    memory: Trend | None
    grown_bytes: int
    throttled: int | None

    @property
    def findings(self) -> tuple[str, ...]:
        """The problems, one sentence each; none if there are none."""
        findings = []
        if self.latency.is_significant and abs(self.latency.change) > _DRIFT:
            with_it = self.probe is not None and self.probe.is_significant and self.probe.change > _DRIFT
            why = "and so did the probe: the machine slowed down" if with_it else "but the probe did not"
            findings.append(f"the latency changed by {self.latency.change:+.1%}, {why}")
        if self.throttled:
            findings.append(f"a processor throttled {self.throttled} times")
        if _is_leak(self.memory, self.grown_bytes):
            hourly = self.grown_bytes / 1e6 / self.seconds * 3600
            findings.append(f"the memory grew by {self.grown_bytes / 1e6:.1f} MB, which is {hourly:,.0f} MB an hour")
        return tuple(findings)


def plan(minutes: float) -> SamplingPlan:
    """Plan one process that runs for some minutes."""
    seconds = 60 * minutes
    return SamplingPlan(min_runs=1, max_runs=UNLIMITED_RUNS, duration_s=seconds, time_limit_s=seconds)


def soak(block: Block) -> Soak:
    """Look for trends in a long block.

    Raises:
        ValueError: the block is too short for a trend.
    """
    samples = np.asarray(block.samples_ns, dtype=np.float64)
    if len(samples) < _MIN_VALUES:
        raise ValueError(f"a trend takes {_MIN_VALUES} inferences, and there were {len(samples)}; soak for longer")
    resident = block.resident_bytes
    return Soak(
        runs=block.runs,
        seconds=(block.conditions.wall_ns if block.conditions else block.runs * float(samples.mean())) / 1e9,
        latency=trend(_medians(samples)),
        probe=trend(_medians(np.asarray(block.probe_ns, dtype=np.float64)))
        if len(block.probe_ns) >= _MIN_VALUES
        else None,
        memory=trend(_medians(np.asarray(resident, dtype=np.float64))) if len(resident) >= _MIN_VALUES else None,
        grown_bytes=resident[-1] - resident[0] if resident else 0,
        throttled=block.conditions.throttled if block.conditions else None,
    )


def leak(block: Block) -> str | None:
    """Describe the leak of a process in words; None if it does not leak, or the block is too short to tell."""
    resident = block.resident_bytes
    if len(resident) < _MIN_VALUES:
        return None
    grown = resident[-1] - resident[0]
    if not _is_leak(trend(resident), grown):
        return None
    return f"its process leaks: {grown / 1e6:.1f} MB in {block.runs:,} inferences"


def _medians(values: Array) -> list[float]:
    """Compute the medians of windows of equal length, as many as there are values for."""
    return [float(np.median(part)) for part in np.array_split(values, min(_WINDOWS, len(values)))]


def _is_leak(memory: Trend | None, grown_bytes: int) -> bool:
    return memory is not None and memory.is_significant and memory.change > _GROWTH and grown_bytes > _GROWTH_BYTES
