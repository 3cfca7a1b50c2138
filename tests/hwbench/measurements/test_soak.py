"""Drift, throttling and leaks over a long block; and a process that really leaks."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

from hwbench.budgets.budget import parse
from hwbench.gate.rounds import Rounds
from hwbench.gate.sequential_verdict import judge_rounds
from hwbench.measurements import soak
from runtimes.inference.session import Session
from runtimes.sampling import closed_loop
from runtimes.sampling.closed_loop import SamplingPlan, sample
from runtimes.sampling.system_conditions import Conditions

MIB = 1 << 20


@pytest.fixture
def block(make_block):
    """Steady for 2,000 runs, with the noise of a machine."""
    rng = np.random.default_rng(0)
    return dataclasses.replace(
        make_block(rng.lognormal(0, 0.05, 2_000)),
        probe_ns=tuple((1e5 * rng.lognormal(0, 0.02, 300)).astype(int).tolist()),
        resident_bytes=tuple((100 * MIB + 4096 * rng.integers(0, 50, 300)).tolist()),
        conditions=Conditions(wall_ns=2 * 10**9, throttled=0),
    )


def drifting(values, change):
    return tuple((np.asarray(values) * np.linspace(1, 1 + change, len(values))).astype(int).tolist())


def test_a_steady_process_has_no_findings(block):
    found = soak.soak(block)
    assert found.findings == ()
    assert found.runs == 2_000
    assert found.seconds == pytest.approx(2, rel=0.1)


def test_a_model_that_slows_down_is_told_from_a_machine_that_does(block):
    slower = dataclasses.replace(block, samples_ns=drifting(block.samples_ns, 0.2))
    (alone,) = soak.soak(slower).findings
    assert alone.startswith("the latency changed by +")
    assert "the probe did not" in alone
    both = dataclasses.replace(slower, probe_ns=drifting(block.probe_ns, 0.2))
    assert "the machine slowed down" in soak.soak(both).findings[0]


def test_a_burst_is_no_drift(block):
    samples = list(block.samples_ns)
    samples[900:960] = [20 * value for value in samples[900:960]]
    assert soak.soak(dataclasses.replace(block, samples_ns=tuple(samples))).findings == ()


def test_throttling_and_growing_memory_are_findings(block):
    hot = dataclasses.replace(block, conditions=Conditions(wall_ns=1, throttled=3))
    assert soak.soak(hot).findings == ("a processor throttled 3 times",)
    leaky = dataclasses.replace(block, resident_bytes=drifting(block.resident_bytes, 0.5))
    (growth,) = soak.soak(leaky).findings
    assert "the memory grew by 5" in growth
    assert "MB an hour" in growth


def test_chance_is_no_trend():
    assert not soak.trend(range(1, 7)).is_significant  # one order in 360 is as good
    assert soak.trend(range(1, 8)).is_significant  # one in 2,520


def test_too_short_a_soak_is_refused(make_block):
    with pytest.raises(ValueError, match="a trend takes 8 inferences, and there were 3"):
        soak.soak(make_block([1, 2, 3]))


class Quick(Session):
    """Takes some microseconds, and keeps nothing."""

    def _infer(self, feeds):
        return {"y": np.zeros((1, 3), np.float32)}


@pytest.mark.parametrize("plan", [soak.plan(0.02), dataclasses.replace(soak.plan(0.02), max_runs=200)])
def test_a_soak_lasts_as_long_as_asked_and_does_not_see_its_own_records(make_report, monkeypatch, plan):
    monkeypatch.setattr(closed_loop, "_MOST_SAMPLES", 512)
    x = np.zeros((1, 4), np.float32)
    with Quick(make_report().artifact) as session:
        block = sample(session, [{"x": x}], plan, 1, None)
    if plan.max_runs == 200:
        assert (block.runs, block.thinned_from, len(block.samples_ns)) == (200, None, 200)
        return
    assert block.conditions.wall_ns >= 1.2e9
    assert 256 <= len(block.samples_ns) <= 512 < block.runs == block.thinned_from
    found = soak.soak(block)
    assert not [finding for finding in found.findings if "memory" in finding]
    assert found.runs == block.runs
    assert found.seconds >= 1.2


class Leaking(Session):
    """Keeps a mebibyte of every inference."""

    def _infer(self, feeds):
        self.kept = [*getattr(self, "kept", []), bytearray(b"x" * MIB)]
        time.sleep(1e-3)  # the memory is looked at every 20 ms
        return {"y": np.zeros((1, 3), np.float32)}


def test_a_process_that_leaks_is_seen_and_never_passes(make_report):
    artifact = make_report().artifact
    plan = SamplingPlan(min_runs=10, max_runs=400, duration_s=0.4, warmup_limit_s=0.1)
    x = np.zeros((1, 4), np.float32)
    with Leaking(artifact) as session:
        leaking = sample(session, [{"x": x}], plan, 1, None)
    assert "its process leaks: " in str(soak.leak(leaking))
    verdict = judge_rounds(Rounds((leaking,) * 12), parse("p50<=10s"))
    assert verdict.outcome == "inconclusive"
    assert "its process leaks" in verdict.reason
