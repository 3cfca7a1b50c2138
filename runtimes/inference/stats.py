"""How a session is doing: calls, errors, latency and drift, in memory that does not grow with the calls."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np

from runtimes.inference.drift import DriftMonitor, TensorDrift
from runtimes.tensors import Array, Feeds

_BUCKETS_PER_OCTAVE = 16  # a bucket is 4.4% wide, so a percentile is right to 2.2%
_BUCKETS = 40 * _BUCKETS_PER_OCTAVE  # to 2**40 ns, 18 minutes
_PENDING = 1024  # latencies kept as they are before they are counted into buckets
_MOST_PENDING = 16 * _PENDING  # beyond, whoever comes waits for the thread that counts them
_DRIFT_SHARE = 1000  # drift may take one part in a thousand of the time that inference takes


@dataclass(frozen=True)
class Stats:
    """What a session did since it was loaded.

    Attributes:
        calls: how often it was asked to run.
        errors: how many of the calls raised.
        p50_ns, p90_ns, p99_ns: latency percentiles of those that did not, to 2.2%; None before the first.
        max_ns: the slowest, exactly.
        total_ns: of all of them together.
        histogram: (upper bound in ns, calls in the bucket) where there are any, the fastest first.
        drift: how far inputs and outputs have left what calibration saw, of sampled calls; empty where the bundle
            does not record it.
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
    """Collects what `Stats` reports.

    A call appends its latency to `pending`, which is atomic, and whoever finds it as long as `batch` calls `settle`;
    so calls from several threads are all counted, and none waits for another unless that one was held up for long.
    """

    def __init__(self, monitor: DriftMonitor | None = None) -> None:
        self.pending: list[int] = []
        self.batch = _PENDING if monitor is None else 1
        self._lock = threading.Lock()
        self._monitor = monitor
        self._credit_ns = 0  # inference time since drift was last looked at
        self._price_ns = 0  # the inference time that pays for looking at it
        self._errors = 0
        self._counts = np.zeros(_BUCKETS, np.int64)
        self._total_ns = self._max_ns = 0

    def fail(self) -> None:
        """Count a call that raised."""
        with self._lock:
            self._errors += 1

    def settle(self, feeds: Feeds, outputs: Feeds) -> None:
        """Count what is pending, and look at this call's arrays for drift if that is paid for."""
        if not self._lock.acquire(blocking=len(self.pending) > _MOST_PENDING):
            return  # another thread is at it
        try:
            self._count()
            if self._monitor is None:
                return
            if self._credit_ns >= self._price_ns:
                start = time.perf_counter_ns()
                self._monitor.observe(feeds, outputs)
                self._price_ns = _DRIFT_SHARE * (time.perf_counter_ns() - start)
                self._credit_ns = 0
            mean_ns = max(1, self._total_ns // max(1, int(self._counts.sum())))
            self.batch = min(_PENDING, max(1, (self._price_ns - self._credit_ns) // mean_ns))
        finally:
            self._lock.release()

    def stats(self) -> Stats:
        """Everything up to now."""
        with self._lock:
            self._count()
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

    def _count(self) -> None:
        chunk = self.pending[:]
        del self.pending[: len(chunk)]  # not clear(): another thread may have appended meanwhile
        if chunk:
            samples_ns = np.array(chunk, np.int64)
            self._counts += _bucketed(samples_ns)
            total_ns = int(samples_ns.sum())
            self._total_ns += total_ns
            self._credit_ns += total_ns
            self._max_ns = max(self._max_ns, int(samples_ns.max()))


def _bucketed(samples_ns: Array) -> Array:
    buckets = (np.log2(np.maximum(samples_ns, 1)) * _BUCKETS_PER_OCTAVE).astype(np.intp)
    return np.bincount(np.minimum(buckets, _BUCKETS - 1), minlength=_BUCKETS)


def _bound_ns(bucket: float) -> int:
    return round(2 ** (bucket / _BUCKETS_PER_OCTAVE))


def _percentile(counts: Array, quantile: float, max_ns: int) -> int:
    """By the nearest rank: the middle of the bucket that holds it."""
    ends = np.cumsum(counts)
    bucket = int(np.searchsorted(ends, np.ceil(quantile * ends[-1])))
    return min(_bound_ns(bucket + 0.5), max_ns)
