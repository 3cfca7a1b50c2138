"""Raw latency samples from a closed loop: one inference after another, every one of them timed.

This runs on the device, in a separate process. The host computes the statistics.
"""

from __future__ import annotations

import itertools
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from runtimes import samples
from runtimes.backends import backend
from runtimes.errors import UsageError
from runtimes.inference.session import Session
from runtimes.inference.step_sequences import StepSequence, sequences
from runtimes.sample_arrays import Rows
from runtimes.sampling.extra_work import Call, with_products
from runtimes.sampling.peak_memory import peak_bytes, resident_bytes
from runtimes.sampling.records import Records
from runtimes.sampling.speed_probe import SpeedProbe
from runtimes.sampling.system_conditions import Conditions, SystemMonitor
from runtimes.tensors import Array

_DISTINCT_FEEDS = 8  # enough to vary the data, and few enough to hold in memory
_WINDOW_RUNS = 10  # see `warm_up`
_SETTLED_RATIO = 0.98  # warm-up ends when a window's median is no longer 2% below the best one
_MOST_SAMPLES = 1 << 17  # a mebibyte; more than any percentile takes
_MOST_READINGS = 1 << 14  # five minutes of the probe's times, and of the memory beside them
MOST_SECONDS = 1_000_000
"""Upper limit of each time in a plan."""
UNLIMITED_RUNS = 10**12
"""`max_runs` of a plan that its time ends."""


@dataclass(frozen=True)
class SamplingPlan:
    """The length of one block: at least `min_runs` inferences and `duration_s`, at most `max_runs` and `time_limit_s`.

    Attributes:
        min_runs: least number of inferences.
        max_runs: largest number of inferences; it wins over `min_runs`.
        duration_s: seconds after which the block ends once `min_runs` are done.
        warmup_limit_s: seconds after which the warm-up ends in any case.
        time_limit_s: seconds after which the block ends in any case.
        extra_products: small float32 products that follow each inference within its time, to slow it down on purpose.
    """

    min_runs: int = 170
    max_runs: int = 2_500
    duration_s: float = 1.0
    warmup_limit_s: float = 3.0
    time_limit_s: float = 20.0
    extra_products: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.extra_products <= UNLIMITED_RUNS:
            raise UsageError(f"A sampling plan has extra_products = {self.extra_products}; expected 0 or more.")
        for name in ("min_runs", "max_runs", "duration_s", "warmup_limit_s", "time_limit_s"):
            value, most = getattr(self, name), UNLIMITED_RUNS if name.endswith("runs") else MOST_SECONDS
            if not 0 <= value <= most:  # also refuses NaN
                raise UsageError(f"A sampling plan has {name} = {value}; expected 0 to {most:,}.")


@dataclass(frozen=True)
class Block:
    """The measurements of one process.

    Attributes:
        samples_ns: wall time in ns of each inference, or of each query if the scenario has queries, in order; evenly
            spaced ones of these, if there were too many to keep.
        warmup_ns: wall time in ns of each inference of the warm-up, in order.
        settled: whether the warm-up ended by its rule; False if its time limit ended it.
        batch: number of input samples in each of `samples_ns`.
        inferences: number of inferences in each of `samples_ns`, one after another: more than one if the samples of a
            query do not run as one batch.
        load_ns: time from the bundle's path to a session, with the import of its runtime.
        cpu_ns: processor time of all threads during `samples_ns`.
        preemptions: number of times that the kernel took the processor away during `samples_ns`.
        idle_memory_bytes: resident memory before the bundle was opened; None if the system does not report it.
        peak_memory_bytes: the most memory that was ever resident, without what measuring takes; None likewise.
        steady_memory_bytes: resident memory after the last inference, without that; None likewise.
        probe_ns: times of the speed probe, every 20 ms between the inferences (`speed_probe.SpeedProbe`).
        resident_bytes: resident memory each time that the probe ran, without what measuring takes.
        conditions: the system's own figures during `samples_ns`.
        arrivals_ns: due time of each query since the first, in a load that does not wait for answers; `samples_ns`
            begin at these times. Empty in a closed loop.
        environment: versions of Python, NumPy and the runtime in the measuring process.
        sequence_steps: of a model with states, the number of steps of each sequence that `samples_ns` go through in
            turn, step by step, beginning with the first; else empty.
        shapes: the shapes of the inputs by name, of each kind of feed that was timed.
        thinned_from: the number of times that were taken, if `samples_ns` could not keep all; else None.
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
    sequence_steps: tuple[int, ...] = ()
    thinned_from: int | None = None
    shapes: tuple[Mapping[str, tuple[int, ...]], ...] = ()

    @property
    def runs(self) -> int:
        """The number of inferences or queries that were timed."""
        return len(self.samples_ns) if self.thinned_from is None else self.thinned_from


def sample(
    session: Session,
    feeds: Sequence[dict[str, Array]] | Sequence[StepSequence],
    plan: SamplingPlan,
    load_ns: int,
    idle_memory_bytes: int | None,
) -> Block:
    """Warm up a session, then measure a block.

    Args:
        session: the session to run.
        feeds: inputs, which are used in turn; of a model with states, sequences, whose steps are timed one by one. A
            sequence that has begun is finished, unless the time is up, so that early steps do not weigh more.
        plan: the length of the warm-up and of the block.
        load_ns: time that the session took to load; it is copied into the block.
        idle_memory_bytes: resident memory before the session was loaded; it is copied into the block.

    Raises:
        UsageError: there are no feeds.
    """
    if not feeds:
        raise UsageError("There are no samples to measure with; give at least one.")
    turns = _turns(session, feeds, plan.extra_products)
    warmup, settled = warm_up(lambda: next(turns).run(), plan.warmup_limit_s)
    turn: _Turn | None = None
    if session.artifact.states:
        turns = _turns(session, feeds, plan.extra_products)  # the first sequence from its first step on
    peak = peak_bytes()
    steps = tuple(len(item.feeds) for item in feeds if isinstance(item, StepSequence))
    times = Records(min(plan.max_runs + max(steps, default=1), _MOST_SAMPLES))  # a sequence's rest comes on top
    resident, probe = Records(_MOST_READINGS), SpeedProbe(_MOST_READINGS)
    own_bytes = times.nbytes + resident.nbytes + probe.nbytes
    monitor = SystemMonitor(on_gpu=session.on_gpu)
    switches, cpu, start = _involuntary_switches(), time.process_time_ns(), time.perf_counter_ns()
    now = start
    while not _is_done(times.count, (now - start) / 1e9, plan, within=turn is not None and not turn.is_last):
        if probe.tick(now):
            monitor.tick()
            if (now_resident := resident_bytes()) is not None:
                resident.add(now_resident - own_bytes)
        turn = next(turns)
        times.add(_time_one(turn))
        now = time.perf_counter_ns()
    later_peak, steady = peak_bytes(), resident_bytes()
    samples_ns = times.values()
    return Block(
        samples_ns=samples_ns,
        warmup_ns=tuple(warmup),
        settled=settled,
        load_ns=load_ns,
        cpu_ns=time.process_time_ns() - cpu,
        preemptions=_involuntary_switches() - switches,
        idle_memory_bytes=idle_memory_bytes,
        peak_memory_bytes=None if peak is None or later_peak is None else max(peak, later_peak - own_bytes),
        steady_memory_bytes=None if steady is None else steady - own_bytes,
        probe_ns=probe.times_ns.values(),
        resident_bytes=resident.values(),
        conditions=monitor.conditions(),
        sequence_steps=steps,
        thinned_from=times.count if times.count > len(samples_ns) else None,
        shapes=shapes_of(feeds),
    )


def shapes_of(feeds: Sequence[dict[str, Array]] | Sequence[StepSequence]) -> tuple[dict[str, tuple[int, ...]], ...]:
    """List the shapes of the inputs by name, of each kind of feed once."""
    each = [feed for item in feeds for feed in (item.feeds if isinstance(item, StepSequence) else (item,))]
    found = {tuple((name, np.shape(array)) for name, array in feed.items()) for feed in each}
    return tuple(map(dict, sorted(found)))


def distinct_sequences(session: Session, arrays: Mapping[str, Rows]) -> list[StepSequence]:
    """Cut the first few sequences from arrays; see `distinct_feeds`."""
    found = sequences(session.inputs, session.artifact.states, arrays)
    return list(itertools.islice(found, _DISTINCT_FEEDS))


def distinct_feeds(session: Session, arrays: Mapping[str, Rows]) -> list[dict[str, Array]]:
    """Cut the first few feeds from arrays, to be used in turn while a model is measured.

    Raises:
        FeedError: the arrays do not fit the session's inputs.
        UsageError: the model has states.
    """
    if session.artifact.states:
        raise UsageError("The model has states, so its inferences depend on each other; only single_stream times them.")
    return list(itertools.islice(samples.feeds(session.inputs, arrays), _DISTINCT_FEEDS))


def environment(session: Session) -> dict[str, str]:
    """Return the versions in this process; a bundle's manifest holds the versions of the tools that built it."""
    runtime = session.artifact.runtime
    return {"python": platform.python_version(), "numpy": np.__version__, runtime: backend(runtime).version()}


def warm_up(run: Callable[[], object], limit_s: float) -> tuple[list[int], bool]:
    """Run until ten inferences are no faster than the best ten before, or until the time limit.

    Nothing is compiled while a model runs: caches, allocators, pages and the clock warm up, which takes some tens of
    runs. Georges, Buytaert and Eeckhout (2007, Statistically rigorous Java performance evaluation) wait until the
    coefficient of variation of ten iterations falls below 1 or 2%, which never happens on a machine with other busy
    processes. This rule therefore waits only until the medians stop improving, since a burst does not move a median. It
    is the weaker rule: one slow window ends it early, and it misses processes that get slower later or stay in one of
    two modes, as Barrett et al. (2017, Virtual machine warmup blows hot and cold) found of many. Processes are
    therefore restarted and compared by their medians, every run is recorded, and a soak looks for trends.

    Returns:
        The time of each run in ns, and whether the series had settled when the warm-up ended.
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


class _Turn(NamedTuple):
    """One inference; `is_last` is False if more steps of its sequence follow."""

    call: Call
    feeds: dict[str, Array]
    is_last: bool = True

    def run(self) -> None:
        self.call(self.feeds)


def _turns(
    session: Session, feeds: Sequence[dict[str, Array]] | Sequence[StepSequence], extra_products: int
) -> Iterator[_Turn]:
    items: Iterator[dict[str, Array] | StepSequence] = itertools.cycle(feeds)
    run = with_products(session.run, extra_products)
    for item in items:
        if isinstance(item, StepSequence):
            stream, last = session.stream(item.initial), len(item.feeds) - 1
            step_run = with_products(stream.run, extra_products)
            yield from (_Turn(step_run, feed, step == last) for step, feed in enumerate(item.feeds))
        else:
            yield _Turn(run, item)


def _is_done(runs: int, elapsed_s: float, plan: SamplingPlan, *, within: bool) -> bool:
    if runs == 0:
        return False
    return elapsed_s >= plan.time_limit_s or (
        not within and (runs >= plan.max_runs or (runs >= plan.min_runs and elapsed_s >= plan.duration_s))
    )


def _time_one(turn: _Turn) -> int:
    call, feeds, _ = turn
    start = time.perf_counter_ns()
    call(feeds)
    return time.perf_counter_ns() - start


def _involuntary_switches() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
