"""Statistics of a session: counts that are exact, percentiles that are nearly so, memory that is bounded."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.backends import null
from runtimes.bundles.distribution import Distribution
from runtimes.bundles.manifest import Artifact
from runtimes.errors import FeedError
from runtimes.inference.drift import DriftMonitor
from runtimes.inference.stats import Recorder
from runtimes.tensors import Array, Feeds, TensorSpec

REFERENCE = Distribution(-1.0, 1.0, (0.0,), (0.5, 0.5))


def recorded(samples_ns: list[int]) -> Recorder:
    recorder = Recorder()
    for sample_ns in samples_ns:
        recorder.pending.append(sample_ns)
        if len(recorder.pending) >= recorder.batch:
            recorder.count({}, {})
    return recorder


def test_nothing_ran() -> None:
    stats = Recorder().stats()
    assert (stats.calls, stats.errors, stats.p50_ns, stats.max_ns, stats.histogram) == (0, 0, None, None, ())


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=300))
def test_percentiles_are_right_to_the_width_of_a_bucket(samples_ns: list[int]) -> None:
    stats = recorded(samples_ns).stats()
    assert (stats.calls, stats.max_ns, stats.total_ns) == (len(samples_ns), max(samples_ns), sum(samples_ns))
    for q, found in ((50, stats.p50_ns), (90, stats.p90_ns), (99, stats.p99_ns)):
        exact = np.percentile(samples_ns, q, method="inverted_cdf")
        assert found == pytest.approx(exact, rel=0, abs=0.022 * exact + 1)  # half a bucket, and whole nanoseconds


def test_the_histogram_holds_every_call_in_order() -> None:
    stats = recorded([0, 1, 10**3, 10**3, 10**9, 2**62]).stats()
    bounds = [bound for bound, _ in stats.histogram]
    assert bounds == sorted(bounds)
    assert sum(count for _, count in stats.histogram) == 6
    assert dict(stats.histogram)[min(bound for bound in bounds if bound > 10**3)] == 2


def test_memory_does_not_grow_with_calls() -> None:
    recorder = recorded(list(range(1, 5000)))
    assert len(recorder.pending) < 1024
    before = sys.getsizeof(recorder._counts)
    for sample_ns in range(50_000):
        recorder.pending.append(sample_ns)
        if len(recorder.pending) >= recorder.batch:
            recorder.count({}, {})
    assert len(recorder.pending) < 1024
    assert sys.getsizeof(recorder._counts) == before


def test_no_call_of_many_threads_is_lost() -> None:
    recorder = Recorder(DriftMonitor({"x": REFERENCE}))
    x = {"x": np.zeros(3)}

    def work() -> None:
        for _ in range(5000):
            recorder.pending.append(1000)
            if len(recorder.pending) >= recorder.batch:
                recorder.count(x, {})
            if recorder.batch % 7 == 3:
                recorder.stats()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.stats().calls == 40_000


class Slow(DriftMonitor):
    """Takes a millisecond to look, at least."""

    looks = 0

    def observe(self, feeds: Feeds, outputs: Feeds) -> None:
        self.looks += 1
        time.sleep(1e-3)


@pytest.mark.parametrize(("sample_ns", "calls"), [(1_000, 20_000), (1_000_000, 2_000), (1_000_000_000, 20)])
def test_looking_for_drift_takes_less_than_a_hundredth_of_the_time(sample_ns: int, calls: int) -> None:
    """A look takes 1 ms here, so that 100 ms of inference, or more, must go by between two."""
    monitor = Slow({"x": REFERENCE})
    recorder = Recorder(monitor)
    for _ in range(calls):
        recorder.pending.append(sample_ns)
        if len(recorder.pending) >= recorder.batch:
            recorder.count({}, {})
    assert 1 <= monitor.looks <= 1 + calls * sample_ns / 100e6


def test_a_session_counts_calls_and_errors(artifact: Artifact, images: Array) -> None:
    with null.load(artifact, b"") as session:
        for _ in range(5):
            session.run({"image": images})
        for _ in range(2):
            with pytest.raises(FeedError):
                session.run({})
        stats = session.stats()
    assert (stats.calls, stats.errors) == (7, 2)
    assert stats.p50_ns is not None
    assert stats.max_ns is not None
    assert 0 < stats.p50_ns <= stats.max_ns <= stats.total_ns


def test_a_session_watches_inputs_and_outputs(artifact: Artifact) -> None:
    specs = (TensorSpec("x", "float32", (4,)),)
    outputs = (TensorSpec("y", "float32", (2,)),)
    with null.load(dataclasses.replace(artifact, inputs=specs, outputs=outputs), b"") as session:
        session.monitor_drift({"x": REFERENCE, "y": REFERENCE, "z": REFERENCE})
        session.run({"x": np.array([-2, 0.5, 0.5, 3], np.float32)})
        x, y = session.stats().drift
    assert (x.tensor, x.values, x.saturated) == ("x", 4, 0.5)
    assert (y.tensor, y.values, y.saturated) == ("y", 2, 0.0)
    assert (x.calls, x.psi) == (1, None)
