"""The sequential gate with bundles, and a target that takes blocks from a list instead of running them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwbench.budgets.baseline import judge_report
from hwbench.budgets.budget import parse_all
from hwbench.budgets.family_error import FamilyError
from hwbench.gate.gate import GatePlan, gate_bundle, sampling_plan
from hwbench.machine import machine_facts
from hwbench.machine.identity import this_machine
from hwbench.targets import CrashError
from runtimes.errors import BackendError, UsageError
from runtimes.sampling.closed_loop import UNLIMITED_RUNS

PLAN = GatePlan(max_time_s=60, seed=0)


@pytest.fixture(autouse=True)
def own_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "memory"))


def gate(target, candidate, baseline, *texts, plan=PLAN):
    return gate_bundle(candidate, baseline, parse_all(texts), target, plan, lambda word: None)


@pytest.fixture
def path(pack_linear, tmp_path):
    return pack_linear(tmp_path / "new.edge")


@pytest.fixture
def target(fake_target, make_block):
    fake_target.block = make_block([1 + k / 1e3 for k in range(100)])
    return fake_target


def test_the_same_path_twice_is_two_measurements_in_random_order(target, path):
    gated = gate(target, path, path, "p50<=+5%")
    inputs = [call[2].name for call in target.calls]
    assert sorted(inputs) == ["0.npz"] * 9 + ["1.npz"] * 9
    rounds = list(zip(inputs[::2], inputs[1::2]))
    assert set(rounds) == {("0.npz", "1.npz"), ("1.npz", "0.npz")}
    assert gated.baseline is not None
    assert [len(report.latency.blocks) for report in (gated.candidate, gated.baseline)] == [9, 9]


@pytest.mark.parametrize(("budget", "outcome"), [("p50<=1s", "pass"), ("p50<=1us", "fail")])
def test_the_error_of_the_family_says_how_many_rounds_it_takes(target, path, budget, outcome):
    taken = []
    for error in (FamilyError(0.2), FamilyError(0.01), FamilyError(0.01, 20)):
        gated = gate(target, path, None, budget, plan=dataclasses.replace(PLAN, error=error))
        taken.append(gated.verdicts[0].counted)
        assert gated.verdicts[0].outcome == outcome
    assert taken[0] < taken[1]
    assert (taken[1] < taken[2]) == (outcome == "fail")  # failures alone share the error


def test_what_needs_no_measuring_is_not_measured(target, path):
    gated = gate(target, path, None, "size<=1GB")
    assert target.calls == []
    assert [verdict.outcome for verdict in gated.verdicts] == ["pass"]
    assert gated.candidate.unmeasured == {"latency": "no budget limits it"}


def test_verdicts_come_in_the_order_of_the_budgets(target, path):
    gated = gate(target, path, None, "size<=1GB", "p50<=1s", "accuracy>=0.5", "load_time<=1us")
    assert [verdict.outcome for verdict in gated.verdicts] == ["pass", "pass", "inconclusive", "fail"]


def test_a_budget_may_name_the_size_that_it_is_of(target, path, monkeypatch):
    """The stand-in takes a millisecond per row of its input."""

    def sample(bundle, inputs, plan):
        with np.load(inputs) as arrays:
            shape = arrays["x"].shape[1:] if arrays["x"].ndim == 3 else (1, 4)
        times = tuple(shape[0] * time for time in target.block.samples_ns)
        return dataclasses.replace(target.block, samples_ns=times, shapes=({"x": shape},))

    monkeypatch.setattr(target, "sample", sample)
    texts = ["p50@N=8<=10ms", "p50<=2ms", "p50@N=8<=+5%", "p50@N=16<=10ms", "throughput@N=8>=900/s"]
    gated = gate(target, path, path, *texts)
    assert [verdict.outcome for verdict in gated.verdicts] == ["pass", "pass", "pass", "fail", "pass"]
    assert gated.verdicts[0].reason.startswith("p50@N=8 8.4 ms")
    report = gated.candidate
    assert report.latency.blocks[0].shapes == ({"x": (1, 4)},)
    assert [latency.batch for latency in report.sized] == [8, 16]
    again = judge_report(report, parse_all(["p50@N=16<=20ms", "p50@N=3<=20ms"]))
    assert [verdict.outcome for verdict in again] == ["pass", "inconclusive"]
    assert "not timed at N=3" in again[1].reason
    chosen = gate(target, path, None, "p50<=2ms", plan=dataclasses.replace(PLAN, shapes=(("x", (8, 4)),)))
    assert chosen.verdicts[0].outcome == "fail"
    with pytest.raises(UsageError, match="names no input and no dynamic dimension"):
        gate(target, path, None, "p50@M=8<=10ms")


@pytest.mark.parametrize(("turn", "outcome"), [(1, "fail"), (5, "fail")])
def test_a_candidate_that_crashes_fails_with_what_it_said(target, path, turn, outcome):
    target.failures[path] = (turn, CrashError("The process died of signal 11. It said: oh no"))
    gated = gate(target, path, None, "p50<=1s", "size<=1GB")
    assert [verdict.outcome for verdict in gated.verdicts] == [outcome, "pass"]
    assert "the candidate's process failed: The process died of signal 11. It said: oh no" in gated.verdicts[0].reason


def test_a_baseline_that_crashes_is_inconclusive(target, path, pack_linear, tmp_path):
    old = pack_linear(tmp_path / "old.edge")
    target.failures[old] = (1, CrashError("The process hung"))
    gated = gate(target, path, old, "p50<=+5%")
    assert [verdict.outcome for verdict in gated.verdicts] == ["inconclusive"]


def test_a_process_that_says_why_it_cannot_is_an_error(target, path):
    target.failures[path] = (1, BackendError("no such kernel"))
    with pytest.raises(BackendError, match="no such kernel"):
        gate(target, path, None, "p50<=1s")


def test_a_relative_budget_without_a_baseline_is_refused_before_measuring(target, path):
    with pytest.raises(UsageError, match="give one with --baseline"):
        gate(target, path, None, "p50<=+5%")
    assert target.calls == []


def test_a_baseline_of_another_profile_is_refused_before_measuring(target, path, pack_linear, local_profile, tmp_path):
    other = pack_linear(tmp_path / "old.edge", profile=dataclasses.replace(local_profile, name="there"))
    with pytest.raises(UsageError, match="another profile"):
        gate(target, path, other, "p50<=+5%")
    assert target.calls == []


def test_a_stored_baseline_is_compared_as_it_stands(target, path):
    stored = gate(target, path, None, "p50<=1s").candidate
    gated = gate(target, path, stored, "p50<=+50%")
    assert [verdict.outcome for verdict in gated.verdicts] == ["pass"]
    elsewhere = dataclasses.replace(stored, machine=dataclasses.replace(stored.machine, cpu="Other CPU"))
    with pytest.raises(UsageError, match="cpu: Other CPU there"):
        gate(target, path, elsewhere, "p50<=+50%")


def test_a_candidate_that_crashes_fails_beside_a_stored_baseline_too(target, path):
    stored = gate(target, path, None, "p50<=1s").candidate
    target.failures[path] = (len(target.calls) + 1, CrashError("The process died of signal 11"))
    (verdict,) = gate(target, path, stored, "p50<=+50%").verdicts
    assert verdict.outcome == "fail"
    assert verdict.reason == "the candidate's process failed: The process died of signal 11"


def test_a_change_against_a_stored_baseline_has_the_runs_that_its_percentile_takes(target, path, monkeypatch):
    stored, plans = gate(target, path, None, "p50<=1s").candidate, []
    monkeypatch.setattr(target, "sample", lambda bundle, inputs, plan: plans.append(plan) or target.block)
    gate(target, path, stored, "p99<=+50%")
    assert {plan.min_runs for plan in plans} == {134}


def test_the_probe_is_remembered_for_the_next_time(target, path):
    target.block = dataclasses.replace(target.block, probe_ns=(100_000, 110_000, 90_000))
    gate(target, path, None, "p50<=1s")
    assert machine_facts.recall(this_machine()).probe_ns == 100_000
    target.block = dataclasses.replace(target.block, probe_ns=(200_000,))
    gated = gate(target, path, None, "p50<=1s")
    assert "had a slow probe" in gated.verdicts[0].reason
    assert machine_facts.recall(this_machine()).probe_ns == 100_000


def test_the_plan_takes_as_many_runs_as_the_percentiles_need():
    assert sampling_plan(parse_all(["p90<=1s"]), 0.3).min_runs == 20
    assert sampling_plan(parse_all(["p50<=1s", "p99<=2s"]), 0.3).min_runs == 134
    assert sampling_plan(parse_all(["p99.9<=1s"]), 0.3).min_runs > 1_000
    assert (
        sampling_plan(parse_all(["p99.9<=1s"]), 0.3).max_runs >= sampling_plan(parse_all(["p99.9<=1s"]), 0.3).min_runs
    )


def test_a_block_ends_by_a_number_of_runs_unless_somebody_asked_for_its_length():
    assert (sampling_plan().duration_s, sampling_plan().max_runs) == (0.1, 1_000)
    assert (sampling_plan(block_s=0.1).duration_s, sampling_plan(block_s=0.1).max_runs) == (0.1, UNLIMITED_RUNS)
