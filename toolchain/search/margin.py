"""Margin of speed: the part by which a candidate has to be faster to be preferred to a smaller or more exact one."""

from __future__ import annotations

from collections.abc import Sequence

from hwbench.stats.intervals import Estimate
from toolchain.search.trials import Trial

CLEARLY_FASTER = 1.03
"""Ratio of latencies up to which candidates count as equally fast, however narrow their intervals are. Latencies of one
file in builds of different days differ by that much, and a format that changes from build to build costs its users more
than 3%."""


def is_as_fast(latency: Estimate, best: Estimate) -> bool:
    """Tell whether a latency is within the margin, or within the interval, of the best one."""
    return latency.value <= max(best.high, CLEARLY_FASTER * best.value)


def as_fast_in_screening(trials: Sequence[Trial]) -> list[Trial]:
    """List the trials whose median in screening is within the margin of the fastest; none if none was screened.

    It stands in for measurements that are too short for an interval, such as those of a slow model under a time limit.
    """
    bar = min((trial.speed_ms for trial in trials if trial.speed_ms is not None), default=None)
    if bar is None:
        return []
    return [trial for trial in trials if trial.speed_ms is not None and trial.speed_ms <= CLEARLY_FASTER * bar]
