"""The gate's test of itself, with a stand-in for the machine whose extra work costs what it should."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from hwbench.budgets.budget import parse
from hwbench.gate import kept_self_test
from hwbench.gate.gate_self_test import Trials, self_test
from hwbench.machine.identity import this_machine
from hwbench.targets import CrashError
from runtimes.errors import UsageError
from runtimes.sampling.system_conditions import Conditions


class NoisyTarget:
    """Inferences of a millisecond, processes that differ by `spread`, and products of a microsecond each."""

    blocks, machine = 0, this_machine()

    def __init__(self, block, spread=0.01, product_ns=1_000, seed=0):
        self.block, self.spread, self.product_ns, self.rng = block, spread, product_ns, np.random.default_rng(seed)

    def sample(self, bundle, inputs, plan):
        NoisyTarget.blocks += 1
        base_ns = 1e6 + self.product_ns * plan.extra_products
        times = base_ns * self.rng.lognormal(0, self.spread) * (1 + np.arange(-20, 21) / 1e4)
        conditions = Conditions(wall_ns=10**9, waited_ns=0)
        return dataclasses.replace(
            self.block, samples_ns=tuple(map(int, times)), conditions=conditions, probe_ns=(100_000,)
        )


@pytest.fixture
def path(pack_linear, tmp_path):
    return pack_linear(tmp_path / "model.edge")


@pytest.fixture(autouse=True)
def one_second_a_round(monkeypatch):
    """Rounds take no time here, so a clock that goes by half a second for each block stands in."""
    NoisyTarget.blocks = 0
    clock = SimpleNamespace(monotonic=lambda: NoisyTarget.blocks / 2)
    monkeypatch.setattr("hwbench.gate.gate_self_test.time", clock)


def run(target, path, budget=None, gates=8):
    return self_test(path, None if budget is None else parse(budget), gates, 30.0, target, lambda word: None)


def test_a_machine_that_scatters_by_a_percent_holds_a_few_percent(path, make_block):
    result = run(NoisyTarget(make_block([1.0])), path)
    assert result.outcome == "pass"
    assert (result.unchanged.wrong, result.slowed.wrong, result.unchanged.gates) == (0, 0, 8)
    assert 0.001 < result.smallest <= float(result.recommended.removeprefix("p90<=+").removesuffix("%")) / 100
    limit = parse(result.budget).limit
    assert result.slowdown == pytest.approx(2 * limit, abs=0.35 * limit)


def test_a_noisier_machine_needs_a_wider_budget(path, make_block):
    quiet = run(NoisyTarget(make_block([1.0]), spread=0.002), path, gates=2)
    noisy = run(NoisyTarget(make_block([1.0]), spread=0.05), path, gates=2)
    assert noisy.smallest > 3 * quiet.smallest


def test_the_budget_of_the_user_is_the_one_that_is_tested(path, make_block):
    result = run(NoisyTarget(make_block([1.0])), path, "p50<=+20%", gates=2)
    assert result.budget == "p50<=+20%"
    assert result.slowdown == pytest.approx(0.4, abs=0.05)
    assert result.recommended.startswith("p50<=+")
    assert parse(result.recommended).limit < 0.2


def test_errors_beyond_chance_fail_the_test_and_few_do_not(path, make_block):
    good = Trials(gates=20, wrong=0, inconclusive=0, mean_s=1.0, longest_s=2.0)
    assert good.error.high == pytest.approx(0.1684, abs=1e-4)  # 1 - 0.025 ** (1 / 20)
    result = dataclasses.replace(run(NoisyTarget(make_block([1.0])), path, gates=1), slowed=good)
    for wrong, outcome in ((1, "pass"), (3, "fail")):
        assert dataclasses.replace(result, unchanged=dataclasses.replace(good, wrong=wrong)).outcome == outcome
    assert dataclasses.replace(result, slowed=dataclasses.replace(good, inconclusive=10)).outcome == "inconclusive"


def test_a_gate_whose_slowed_model_is_not_slower_does_not_catch_it(path, make_block):
    """Where extra work costs nothing, gates pass the "slowed" model, and the test says that they are wrong."""
    result = run(NoisyTarget(make_block([1.0]), product_ns=0), path, "p90<=+5%", gates=4)
    assert result.slowed.wrong == 4
    assert result.outcome == "fail"


@pytest.mark.parametrize(
    "budget", ["p90<=10ms", "p90<=+0%", "p90<=-5%", "throughput>=-5%", "peak_memory<=+5%", "size<=+5%"]
)
def test_what_extra_work_does_not_slow_down_is_refused(path, make_block, budget):
    with pytest.raises(UsageError, match="give a change of a percentile"):
        run(NoisyTarget(make_block([1.0])), path, budget)


def test_sizes_that_no_gate_would_run_at_are_refused(path):
    with pytest.raises(UsageError, match="leave out the part from @ on"):
        run(None, path, "p90@N=64<=+5%")


def test_a_percentile_that_no_block_is_long_enough_for_is_told_with_the_reason(path, make_block):
    with pytest.raises(UsageError, match=r"'p99.9<=\+5%' cannot be self-tested with this model: p99.9 takes"):
        run(NoisyTarget(make_block([1.0])), path, "p99.9<=+5%")


def test_a_machine_that_shows_nothing_is_refused_with_a_remedy(path, make_block):
    with pytest.raises(UsageError, match=r"cannot hold a budget now.*undisturbed"):
        run(NoisyTarget(make_block([1.0]), spread=1.5), path)


def test_a_crash_is_told(path, make_block, monkeypatch):
    target = NoisyTarget(make_block([1.0]))

    def crash(*arguments):
        raise CrashError("The process died of signal 11.")

    monkeypatch.setattr(target, "sample", crash)
    with pytest.raises(CrashError, match="died of signal 11"):
        run(target, path)


def test_the_last_result_is_kept_for_each_machine(path, make_block, machine, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    result = run(NoisyTarget(make_block([1.0])), path, "p90<=+5%", gates=2)
    assert kept_self_test.find(machine) is None
    kept_self_test.keep(result, machine)
    kept_self_test.keep(dataclasses.replace(result, date="2026-12-01"), machine)
    found = kept_self_test.find(machine)
    assert found.sentence == "this machine was self-tested 2026-12-01: 0 of 4 gates at p90<=+5% false"
    assert len([file for file in (tmp_path / "state").rglob("*") if file.is_file()]) == 1
    assert kept_self_test.find(dataclasses.replace(machine, cores=2)) is None


def test_without_a_home_nothing_is_kept(path, make_block, machine, tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_state_path", lambda name: tmp_path.relative_to("/") / "state")
    monkeypatch.chdir(tmp_path)
    kept_self_test.keep(run(NoisyTarget(make_block([1.0])), path, "p90<=+5%", gates=1), machine)
    assert kept_self_test.find(machine) is None
    assert not list(tmp_path.rglob("self-tests"))
