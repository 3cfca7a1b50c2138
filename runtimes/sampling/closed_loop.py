"""Raw latency samples from a closed loop: one inference after the other, every one kept.

This runs on the device, in a process of its own; statistics are the host's work.
"""

from __future__ import annotations

import itertools
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from runtimes import samples
from runtimes.backends import backend
from runtimes.errors import UsageError
from runtimes.inference.session import Session
from runtimes.sampling.peak_memory import peak_bytes, resident_bytes
from runtimes.sampling.speed_probe import SpeedProbe
from runtimes.sampling.system_conditions import Conditions, SystemMonitor
from runtimes.tensors import Array

_DISTINCT_FEEDS = 8  # enough to vary the data, few enough to hold
_WINDOW_RUNS = 10
_SETTLED_RATIO = 0.98  # warm-up is over when a window's median no longer improves on the best by 2%
MOST_RUNS = 1_000_000
"""The most that a plan may ask for; of seconds, too."""


@dataclass(frozen=True)
class SamplingPlan:
    """How long one block lasts: `min_runs` inferences, then on until `duration_s`, at most `max_runs`;
    `time_limit_s` ends it in any case.
    """

    min_runs: int = 170
    max_runs: int = 2_500
    duration_s: float = 1.0
    warmup_limit_s: float = 3.0
    time_limit_s: float = 20.0

    def __post_init__(self) -> None:
        for name in ("min_runs", "max_runs", "duration_s", "warmup_limit_s", "time_limit_s"):
            value = getattr(self, name)
            if not 0 <= value <= MOST_RUNS:  # nor is NaN
                raise UsageError(f"A sampling plan has {name} = {value}; expected 0 to {MOST_RUNS:,}.")


@dataclass(frozen=True)
class Block:
    """What one process measured.

    Attributes:
        samples_ns: wall time of each inference, or of each query of a scenario that has some, in order.
        warmup_ns: those before the series settled, the first inference first.
        settled: whether the warm-up ended by its rule, or by its time limit.
        batch: samples that each of `samples_ns` is of.
        inferences: those that each of `samples_ns` is of, one after another: more than one where samples that come
            together do not run together.
        load_ns: from the bundle's path to a session, the import of its runtime included.
        cpu_ns: processor time of all threads during `samples_ns`.
        preemptions: times the kernel took the processor away during `samples_ns`.
        idle_memory_bytes: resident before the bundle was opened.
        peak_memory_bytes: the most that was ever resident; None where the system doesn't say.
        steady_memory_bytes: resident after the last inference.
        probe_ns: what a fixed piece of work took between the inferences, every 20 ms (`speed_probe.SpeedProbe`).
        resident_bytes: what the process held each time that the probe ran.
        conditions: what the system said about itself during `samples_ns`.
        arrivals_ns: of a load that does not wait for answers, when each query was due, since the first; `samples_ns`
            begin then. Empty in a closed loop.
        environment: versions of what ran in the measuring process.
    """

    samples_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    settled: bool
    load_ns: int
    cpu_ns: int
    preemptions: int
    idle_memory_bytes: int | None
    peak_memory_bytes: int | None
    batch: int = 1
    inferences: int = 1
    steady_memory_bytes: int | None = None
    probe_ns: tuple[int, ...] = ()
    resident_bytes: tuple[int, ...] = ()
    conditions: Conditions | None = None
    arrivals_ns: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def sample(
    session: Session, feeds: Sequence[dict[str, Array]], plan: SamplingPlan, load_ns: int, idle_memory_bytes: int | None
) -> Block:
    """Warm up, then measure.

    Args:
        session: what to run.
        feeds: inputs, taken in turn.
        plan: how long.
        load_ns: how long the session took to load, for the record.
        idle_memory_bytes: resident memory before that, for the record.

    Raises:
        UsageError: there are no feeds.
    """
    if not feeds:
        raise UsageError("There are no samples to measure with.")
    inputs = itertools.cycle(feeds)
    warmup, settled = warm_up(lambda: session.run(next(inputs)), plan.warmup_limit_s)
    times: list[int] = []
    resident: list[int] = []
    probe, monitor = SpeedProbe(), SystemMonitor(on_gpu=session.on_gpu)
    switches, cpu, start = _involuntary_switches(), time.process_time_ns(), time.perf_counter_ns()
    now = start
    while not _is_done(len(times), (now - start) / 1e9, plan):
        if probe.tick(now):
            monitor.tick()
            if (held := resident_bytes()) is not None:
                resident.append(held)
        times.append(_time_one(session, next(inputs)))
        now = time.perf_counter_ns()
    return Block(
        samples_ns=tuple(times),
        warmup_ns=tuple(warmup),
        settled=settled,
        load_ns=load_ns,
        cpu_ns=time.process_time_ns() - cpu,
        preemptions=_involuntary_switches() - switches,
        idle_memory_bytes=idle_memory_bytes,
        peak_memory_bytes=peak_bytes(),
        steady_memory_bytes=resident_bytes(),
        probe_ns=tuple(probe.times_ns),
        resident_bytes=tuple(resident),
        conditions=monitor.conditions(),
    )


def distinct_feeds(session: Session, arrays: Mapping[str, Array]) -> list[dict[str, Array]]:
    """The inputs that are taken in turn while something is measured; none where the arrays hold no samples.

    Raises:
        FeedError: the arrays do not fit the session's inputs.
    """
    return list(itertools.islice(samples.feeds(session.inputs, arrays), _DISTINCT_FEEDS))


def environment(session: Session) -> dict[str, str]:
    """Versions of what runs here; a bundle's own are those of what built it."""
    runtime = session.artifact.runtime
    return {"python": platform.python_version(), "numpy": np.__version__, runtime: backend(runtime).version()}


def warm_up(run: Callable[[], object], limit_s: float) -> tuple[list[int], bool]:
    """Run until ten inferences are no faster than the ten before, or the limit.

    Nothing is compiled here: what warms up is caches, allocators, pages and the clock, which take some tens of runs.
    Georges, Buytaert and Eeckhout (2007, Statistically rigorous Java performance evaluation) wait for the coefficient
    of variation of ten iterations to fall below 1 or 2%; on a machine with neighbours it never does. So only the end of
    the improvement is waited for, by medians, which a burst does not move. This is the weaker rule: one slow window
    ends it early, and it does not see that a process gets slower later, or is in one of two modes for good, as Barrett
    et al. (2017, Virtual machine warmup blows hot and cold) found of many. Processes are therefore restarted and
    compared by their medians, every run is kept, and a soak looks for trends.

    Returns:
        What each run took in ns, and whether the series had settled when it ended.
    """
    warmup: list[int] = []
    best = float("inf")
    end = time.perf_counter_ns() + int(limit_s * 1e9)
    while True:
        window = []
        for _ in range(_WINDOW_RUNS):
            start = time.perf_counter_ns()
            run()
            now = time.perf_counter_ns()
            window.append(now - start)
            if now > end:
                return warmup + window, False
        warmup += window
        median = statistics.median(window)
        if median > best * _SETTLED_RATIO:
            return warmup, True
        best = median


def _is_done(runs: int, elapsed_s: float, plan: SamplingPlan) -> bool:
    if runs == 0:
        return False
    return (
        elapsed_s >= plan.time_limit_s
        or runs >= plan.max_runs
        or (runs >= plan.min_runs and elapsed_s >= plan.duration_s)
    )


def _time_one(session: Session, feed: dict[str, Array]) -> int:
    start = time.perf_counter_ns()
    session.run(feed)
    return time.perf_counter_ns() - start


def _involuntary_switches() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
