"""Statistics of a session: calls, errors, latency and drift, in memory that does not grow with the calls."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np

from runtimes.inference.drift import DriftMonitor, TensorDrift
from runtimes.tensors import Array, Feeds

_BUCKETS_PER_OCTAVE = 16  # a bucket is 4.4% wide, so that a percentile errs by 2.2% at most
_BUCKETS = 40 * _BUCKETS_PER_OCTAVE  # to 2**40 ns, 18 minutes
_PENDING = 1024  # latencies that are collected before they are counted into buckets
_MOST_PENDING = 16 * _PENDING  # beyond this number, a call waits for the thread that counts them
_DRIFT_SHARE = 1000  # counting for drift may take a thousandth of the time that inference takes


@dataclass(frozen=True)
class Stats:
    """Statistics of a session since it was loaded.

    Attributes:
        calls: number of calls of `run`.
        errors: number of calls that raised.
        p50_ns, p90_ns, p99_ns: latency percentiles in ns of the calls that succeeded, to 2.2%; None before the first.
        max_ns: latency of the slowest call, exactly.
        total_ns: sum of the latencies.
        histogram: (upper bound in ns, calls in the bucket) of every bucket that is not empty, the fastest first.
        drift: drift of inputs and outputs over sampled calls; empty if the bundle holds no distributions.
    """

    calls: int
    errors: int
    p50_ns: int | None
    p90_ns: int | None
    p99_ns: int | None
    max_ns: int | None
    total_ns: int
    histogram: tuple[tuple[int, int], ...]
    drift: tuple[TensorDrift, ...]


class Recorder:
    """Collector of a session's statistics.

    A call appends its latency to `pending`, which is atomic, and calls `count` if `pending` has reached the length
    `batch`. So calls from several threads are all counted, and none waits for another unless that one was held up
    for long.
    """

    def __init__(self, monitor: DriftMonitor | None = None) -> None:
        self.pending: list[int] = []
        self.batch = _PENDING if monitor is None else 1
        self._lock = threading.Lock()
        self._monitor = monitor
        self._since_drift_ns = 0  # inference time since values were last counted for drift
        self._drift_interval_ns = 0  # inference time that has to pass before values are counted again
        self._errors = 0
        self._counts = np.zeros(_BUCKETS, np.int64)
        self._total_ns = self._max_ns = 0

    def fail(self) -> None:
        """Count a call that raised."""
        with self._lock:
            self._errors += 1

    def count(self, feeds: Feeds, outputs: Feeds) -> None:
        """Count pending latencies, and this call's values for drift if enough inference time has passed."""
        if not self._lock.acquire(blocking=len(self.pending) > _MOST_PENDING):
            return  # another thread counts already
        try:
            self._count_pending()
            if self._monitor is None:
                return
            if self._since_drift_ns >= self._drift_interval_ns:
                start = time.perf_counter_ns()
                self._monitor.observe(feeds, outputs)
                self._drift_interval_ns = _DRIFT_SHARE * (time.perf_counter_ns() - start)
                self._since_drift_ns = 0
            mean_ns = max(1, self._total_ns // max(1, int(self._counts.sum())))
            self.batch = min(_PENDING, max(1, (self._drift_interval_ns - self._since_drift_ns) // mean_ns))
        finally:
            self._lock.release()

    def stats(self) -> Stats:
        """Return the statistics up to now."""
        with self._lock:
            self._count_pending()
            drift = self._monitor.drift() if self._monitor is not None else ()
            counts, errors, total_ns, max_ns = self._counts.copy(), self._errors, self._total_ns, self._max_ns
        done = int(counts.sum())
        p50_ns, p90_ns, p99_ns = (_percentile(counts, q, max_ns) if done else None for q in (0.5, 0.9, 0.99))
        used = np.flatnonzero(counts)
        return Stats(
            calls=done + errors,
            errors=errors,
            p50_ns=p50_ns,
            p90_ns=p90_ns,
            p99_ns=p99_ns,
            max_ns=max_ns if done else None,
            total_ns=total_ns,
            histogram=tuple((_bound_ns(i + 1), int(counts[i])) for i in used.tolist()),
            drift=drift,
        )

    def _count_pending(self) -> None:
        chunk = self.pending[:]
        del self.pending[: len(chunk)]  # not clear(): another thread may have appended meanwhile
        if chunk:
            samples_ns = np.array(chunk, np.int64)
            self._counts += _bucketed(samples_ns)
            total_ns = int(samples_ns.sum())
            self._total_ns += total_ns
            self._since_drift_ns += total_ns
            self._max_ns = max(self._max_ns, int(samples_ns.max()))


def _bucketed(samples_ns: Array) -> Array:
    buckets = (np.log2(np.maximum(samples_ns, 1)) * _BUCKETS_PER_OCTAVE).astype(np.intp)
    return np.bincount(np.minimum(buckets, _BUCKETS - 1), minlength=_BUCKETS)


def _bound_ns(bucket: float) -> int:
    return round(2 ** (bucket / _BUCKETS_PER_OCTAVE))


def _percentile(counts: Array, quantile: float, max_ns: int) -> int:
    """Return a percentile by the nearest rank: the middle of the bucket that holds it."""
    ends = np.cumsum(counts)
    bucket = int(np.searchsorted(ends, np.ceil(quantile * ends[-1])))
    return min(_bound_ns(bucket + 0.5), max_ns)
