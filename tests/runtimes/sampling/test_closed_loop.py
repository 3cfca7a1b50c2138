"""End of warm-up, end of sampling, and the samples recorded, on a clock that the session itself moves."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runtimes.bundles.manifest import Artifact
from runtimes.errors import UsageError
from runtimes.inference.session import Session
from runtimes.inference.step_sequences import StepSequence
from runtimes.sampling import closed_loop
from runtimes.sampling.closed_loop import SamplingPlan, sample
from runtimes.tensors import Array, Feeds, TensorSpec

MS = 1_000_000


class Paced(Session):
    """Each inference takes the next of the given durations, on its own clock."""

    now_ns = 0
    seen: list[float]

    def pace(self, durations_ms: Iterable[float]) -> Paced:
        self.durations: Iterator[float] = iter(durations_ms)
        self.seen = []
        return self

    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        self.seen.append(float(feeds["image"].flat[0]))
        self.now_ns += round(next(self.durations) * MS)
        return {"scores": np.zeros((len(feeds["image"]), 5), np.float32)}


@pytest.fixture
def session(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> Paced:
    paced = Paced(artifact)
    clock = SimpleNamespace(perf_counter_ns=lambda: paced.now_ns, process_time_ns=time.process_time_ns)
    monkeypatch.setattr(closed_loop, "time", clock)
    return paced


@pytest.fixture
def feeds(images: Array) -> list[dict[str, Array]]:
    return [{"image": np.full_like(images[:1], value)} for value in range(3)]


def ms(samples_ns: Iterable[int]) -> list[float]:
    return [value / MS for value in samples_ns]


def steady(milliseconds: float) -> Iterator[float]:
    return itertools.repeat(milliseconds)


WARMUP_RUNS = 20  # of a steady session: the second window of ten is no better than the first


@pytest.mark.parametrize(
    ("run_ms", "plan", "runs"),
    [
        pytest.param(1, SamplingPlan(min_runs=50, duration_s=0), 50, id="min_runs"),
        pytest.param(10, SamplingPlan(min_runs=5, duration_s=1), 100, id="duration"),
        pytest.param(30, SamplingPlan(min_runs=5, duration_s=1), 34, id="duration, rounded up"),
        pytest.param(10, SamplingPlan(min_runs=150, duration_s=1), 150, id="min_runs outlasts duration"),
        pytest.param(0.001, SamplingPlan(min_runs=5, max_runs=30, duration_s=10), 30, id="max_runs"),
        pytest.param(1, SamplingPlan(min_runs=50, max_runs=7), 7, id="max_runs wins over min_runs"),
        pytest.param(100, SamplingPlan(min_runs=170, time_limit_s=5), 50, id="time limit"),
        pytest.param(9000, SamplingPlan(time_limit_s=5), 1, id="one that outlasts the time limit"),
        pytest.param(1, SamplingPlan(time_limit_s=0), 1, id="never none"),
        pytest.param(1, SamplingPlan(max_runs=0), 1, id="never none, whatever max_runs says"),
    ],
)
def test_sampling_ends_by_the_plan(
    session: Paced, feeds: list[dict[str, Array]], run_ms: float, plan: SamplingPlan, runs: int
) -> None:
    block = sample(session.pace(steady(run_ms)), feeds, plan, load_ns=1, idle_memory_bytes=None)
    assert len(block.samples_ns) == runs
    assert set(ms(block.samples_ns)) == {run_ms}


def windows(*medians_ms: float) -> Iterator[float]:
    """Ten runs of each duration, then on at the last."""
    first = itertools.chain.from_iterable([value] * 10 for value in medians_ms)
    return itertools.chain(first, steady(medians_ms[-1]))


@pytest.mark.parametrize(
    ("medians_ms", "warmup_runs"),
    [
        pytest.param([5], 20, id="steady from the start"),
        pytest.param([9, 5], 30, id="one slow window"),
        pytest.param([9, 7, 6, 5.5, 5.45], 50, id="until it improves by less than 2%"),
        pytest.param([5, 6, 5], 20, id="getting slower is no warming up"),
    ],
)
def test_warm_up_ends_when_a_window_no_longer_improves(
    session: Paced, feeds: list[dict[str, Array]], medians_ms: list[float], warmup_runs: int
) -> None:
    plan = SamplingPlan(min_runs=10, duration_s=0)
    block = sample(session.pace(windows(*medians_ms)), feeds, plan, load_ns=1, idle_memory_bytes=None)
    assert block.settled is True
    assert len(block.warmup_ns) == warmup_runs
    expected = list(itertools.islice(windows(*medians_ms), warmup_runs + 10))
    assert ms(block.warmup_ns) == expected[:warmup_runs]
    assert ms(block.samples_ns) == expected[warmup_runs:]


def test_a_slow_first_inference_is_kept_as_the_first_of_the_warm_up(
    session: Paced, feeds: list[dict[str, Array]]
) -> None:
    session.pace(itertools.chain([400], steady(2)))
    block = sample(session, feeds, SamplingPlan(), load_ns=1, idle_memory_bytes=None)
    assert ms(block.warmup_ns[:2]) == [400, 2]
    assert block.settled
    assert 400 * MS not in block.samples_ns


def test_warm_up_that_does_not_settle_ends_by_its_limit(session: Paced, feeds: list[dict[str, Array]]) -> None:
    faster_and_faster = (100 * 0.9 ** (run // 10) for run in itertools.count())
    block = sample(
        session.pace(faster_and_faster), feeds, SamplingPlan(warmup_limit_s=3), load_ns=1, idle_memory_bytes=None
    )
    assert block.settled is False
    assert 3000 < sum(ms(block.warmup_ns)) < 3100


def test_a_run_that_outlasts_the_warm_up_limit_is_the_whole_warm_up(
    session: Paced, feeds: list[dict[str, Array]]
) -> None:
    plan = SamplingPlan(min_runs=2, duration_s=0, warmup_limit_s=1)
    block = sample(session.pace(steady(1500)), feeds, plan, load_ns=1, idle_memory_bytes=None)
    assert (len(block.warmup_ns), block.settled, len(block.samples_ns)) == (1, False, 2)


def test_every_sample_is_kept_in_its_order(session: Paced, feeds: list[dict[str, Array]]) -> None:
    durations = [1 + (7 * run % 11) / 10 for run in range(100)]
    session.pace(itertools.chain([1.0] * WARMUP_RUNS, durations))
    block = sample(session, feeds, SamplingPlan(100, 100), load_ns=1, idle_memory_bytes=None)
    assert ms(block.samples_ns) == durations


def test_feeds_are_taken_in_turn(session: Paced, feeds: list[dict[str, Array]]) -> None:
    sample(session.pace(steady(1)), feeds, SamplingPlan(10, 10), load_ns=1, idle_memory_bytes=None)
    assert session.seen == [run % 3 for run in range(WARMUP_RUNS + 10)]


def test_there_must_be_feeds(session: Paced) -> None:
    with pytest.raises(UsageError, match="no samples to measure with"):
        sample(session.pace(steady(1)), [], SamplingPlan(), load_ns=1, idle_memory_bytes=None)


def test_what_was_measured_before_is_recorded(session: Paced, feeds: list[dict[str, Array]]) -> None:
    block = sample(session.pace(steady(1)), feeds, SamplingPlan(10, 10), load_ns=123, idle_memory_bytes=456)
    assert (block.load_ns, block.idle_memory_bytes) == (123, 456)
    assert block.cpu_ns > 0
    assert block.preemptions >= 0
    assert block.peak_memory_bytes is None or block.peak_memory_bytes > 1 << 20


@pytest.mark.parametrize("name", ["min_runs", "max_runs", "duration_s", "warmup_limit_s", "time_limit_s"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), pytest.param(10**400, id="huge")])
def test_plans_that_cannot_be(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"A sampling plan has {name} = .*; expected 0 to 1,000,000"):
        SamplingPlan(**{name: value})


class _Stepping(Paced):
    """A state that counts the steps, and takes a millisecond more with each."""

    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        count = int(feeds["count"].flat[0])
        self.seen.append(float(feeds["image"].flat[0]))
        self.now_ns += (count + 1) * MS
        return {"scores": np.zeros((1, 5), np.float32), "next": feeds["count"] + 1}


@pytest.mark.parametrize(
    ("plan", "runs"),
    [
        pytest.param(SamplingPlan(min_runs=6, duration_s=0), 7, id="a sequence that has begun is finished"),
        pytest.param(SamplingPlan(min_runs=4, max_runs=9, duration_s=9), 11, id="max_runs waits for it, too"),
        pytest.param(SamplingPlan(min_runs=99, time_limit_s=0.019), 6, id="but not the time limit"),
    ],
)
def test_steps_of_sequences_are_timed_in_turn(
    artifact: Artifact, images: Array, monkeypatch: pytest.MonkeyPatch, plan: SamplingPlan, runs: int
) -> None:
    count = TensorSpec("count", "int64", ("N",))
    session = _Stepping(
        dataclasses.replace(
            artifact,
            inputs=(*artifact.inputs, count),
            outputs=(*artifact.outputs, dataclasses.replace(count, name="next")),
            states={"count": "next"},
        )
    ).pace(())
    clock = SimpleNamespace(perf_counter_ns=lambda: session.now_ns, process_time_ns=time.process_time_ns)
    monkeypatch.setattr(closed_loop, "time", clock)
    steps = [{"image": np.full_like(images[:1], value)} for value in range(3)]
    given = {"count": np.array([10])}
    feeds = [StepSequence({}, tuple(steps)), StepSequence(given, (steps[2],))]
    block = sample(session, feeds, plan, load_ns=1, idle_memory_bytes=None)
    expected = list(itertools.islice(itertools.cycle([1, 2, 3, 11]), runs))
    assert ms(block.samples_ns) == expected
    assert session.seen[-runs:] == list(itertools.islice(itertools.cycle([0, 1, 2, 2]), runs))
    assert block.sequence_steps == (3, 1)
