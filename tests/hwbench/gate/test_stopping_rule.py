"""The stopping rule of a gate: when rounds suffice, which of them count, and what is said of those that do not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwbench.budgets.budget import parse_all
from hwbench.gate.rounds import Rounds
from hwbench.gate.sequential_verdict import judge_rounds
from hwbench.gate.stopping_rule import decide
from hwbench.measurements.report import NotMeasuredError
from runtimes.sampling.system_conditions import Conditions


@pytest.fixture
def make_rounds(make_block):
    """Rounds whose blocks' p50 are `candidate` and `baseline`; where `waited`, something took the processor away."""

    def make(candidate, baseline=(), waited=0.0):
        conditions = Conditions(wall_ns=10**9, waited_ns=int(waited * 1e9))

        def blocks(levels):
            made = [make_block([level * (1 + k / 1e4) for k in range(-15, 16)]) for level in levels]
            return tuple(dataclasses.replace(block, conditions=conditions, probe_ns=(100_000,)) for block in made)

        return Rounds(blocks(candidate), blocks(baseline))

    return make


def run(make_rounds, budgets, candidate, baseline=None, waited=0.0, max_time_s=60.0):
    """Decide on endless rounds, one second each; verdicts and how many it took."""
    taken = [0]

    def take():
        taken[0] += 1
        n = taken[0]
        return make_rounds(candidate[:n], baseline[:n] if baseline is not None else (), waited)

    decided, rounds = decide(take, parse_all(budgets), max_time_s, clock=lambda: float(taken[0]))
    return decided, len(rounds)


def levels(median=1.0, spread=0.01, seed=0, n=80):
    return median * np.random.default_rng(seed).lognormal(0, spread, n)


@pytest.mark.parametrize(
    ("budget", "outcome"), [("p50<=2ms", "pass"), ("p50<=500us", "fail"), ("throughput>=100/s", "pass")]
)
def test_a_clear_answer_takes_nine_blocks(make_rounds, budget, outcome):
    decided, taken = run(make_rounds, [budget], levels())
    assert (decided[budget].outcome, taken) == (outcome, 9)
    assert "9 of 9 processes undisturbed" in decided[budget].reason


def test_a_close_answer_takes_longer_and_an_equal_one_the_whole_time(make_rounds):
    close, taken = run(make_rounds, ["p50<=1.013ms"], levels(spread=0.02))
    assert close["p50<=1.013ms"].outcome in ("pass", "inconclusive")
    assert taken > 9
    equal, taken = run(make_rounds, ["p50<=1ms"], levels())
    assert (equal["p50<=1ms"].outcome, taken) == ("inconclusive", 60)


def test_a_second_budget_does_not_change_the_first_ones_verdict(make_rounds):
    decided, taken = run(make_rounds, ["p50<=2ms", "throughput>=1000/s"], levels(), max_time_s=30)
    assert {text: verdict.outcome for text, verdict in decided.items()} == {
        "p50<=2ms": "pass",
        "throughput>=1000/s": "inconclusive",
    }
    assert taken == 30
    assert "9 of 9" in decided["p50<=2ms"].reason  # it stands as it was when it became sure


def test_disturbed_blocks_do_not_count_and_say_why(make_rounds):
    decided, taken = run(make_rounds, ["p50<=1.05ms"], levels() * 1.2, waited=0.5)
    verdict = decided["p50<=1.05ms"]
    assert (verdict.outcome, taken) == ("inconclusive", 60)
    assert "0 of 60 processes undisturbed (60 waited for a processor)" in verdict.reason


def test_noise_makes_nothing_faster_so_a_limit_held_in_spite_of_it_is_held(make_rounds):
    decided, taken = run(make_rounds, ["p50<=1.3ms"], levels(), waited=0.5)
    assert (decided["p50<=1.3ms"].outcome, taken) == ("pass", 11)


def test_a_limit_broken_beyond_what_noise_does_is_broken(make_rounds):
    decided, taken = run(make_rounds, ["p50<=100us"], levels(), waited=0.5)
    assert (decided["p50<=100us"].outcome, taken) == ("fail", 11)


def test_a_verdict_that_rests_on_disturbed_blocks_says_so_and_shows_no_interval(make_rounds):
    quiet, busy = make_rounds(levels(n=1)), make_rounds(levels(n=10), waited=0.5)
    rounds = Rounds(quiet.candidate + busy.candidate)
    met = "1 of 11 processes undisturbed (10 waited for a processor)"
    told = {
        "p50<=100us": ("fail", "p50 1 ms exceeds 0.1 ms by a factor of 10"),
        "p50<=2ms": ("pass", "p50 1 ms is within 2 ms even in the disturbed processes"),
        "p50<=900us": ("inconclusive", "p50 1 ms may be on either side of 0.9 ms"),
    }
    for text, (outcome, reason) in told.items():
        verdict = judge_rounds(rounds, *parse_all([text]))
        assert verdict.outcome == outcome
        assert verdict.reason.startswith(reason)
        assert verdict.reason.endswith(met)
        assert "confidence" not in verdict.reason


def test_a_change_that_no_disturbance_explains_is_called_that(make_rounds):
    rounds = make_rounds(10 * levels(n=11), levels(n=11), waited=0.5)
    verdict = judge_rounds(rounds, *parse_all(["p50<=+5%"]))
    assert verdict.outcome == "fail"
    assert verdict.reason.startswith(
        "p50 change of +900.0% against the baseline exceeds +5.0% by more than interference can explain"
    )
    assert verdict.reason.endswith("0 of 11 rounds undisturbed (11 waited for a processor)")


def test_blocks_that_count_give_an_interval_whatever_disturbed_the_others(make_rounds):
    quiet, busy = make_rounds(levels(n=12)), make_rounds(levels(n=3), waited=0.5)
    verdict = judge_rounds(Rounds(quiet.candidate + busy.candidate), *parse_all(["p50<=2ms"]))
    assert " ms to " in verdict.reason
    assert "98% confidence" in verdict.reason
    assert "12 of 15 processes undisturbed (3 waited for a processor)" in verdict.reason


def test_what_memory_a_process_takes_is_disturbed_by_nobody(make_rounds):
    verdict = judge_rounds(make_rounds(levels(n=9), waited=0.5), *parse_all(["peak_memory<=1GB"]))
    assert verdict.outcome == "pass"
    assert "9 of 9 processes undisturbed" in verdict.reason


def test_an_unchanged_model_passes_and_a_slower_one_fails_whatever_drifts(make_rounds):
    drift = 1 + 0.5 * np.sin(np.arange(80) / 7)
    same, _ = run(make_rounds, ["p50<=+2.5%"], levels(seed=1) * drift, levels(seed=2) * drift)
    slow, _ = run(make_rounds, ["p50<=+2.5%"], 1.05 * levels(seed=3) * drift, levels(seed=4) * drift)
    assert same["p50<=+2.5%"].outcome == "pass"
    assert slow["p50<=+2.5%"].outcome == "fail"


def test_a_change_is_said_with_its_bounds_and_the_smallest_that_would_have_shown(make_rounds):
    decided, _ = run(make_rounds, ["p50<=+20%"], 1.05 * levels(seed=3), levels(seed=4))
    verdict = decided["p50<=+20%"]
    assert verdict.measured.low < 0.05 < verdict.measured.high
    assert 0 < verdict.detectable_change < 0.2
    assert "would have been detected" in verdict.reason


def test_a_budget_tighter_than_the_machine_can_show_is_refused_early(make_rounds):
    decided, taken = run(make_rounds, ["p50<=+1%"], levels(spread=0.1, seed=1), levels(spread=0.1, seed=2))
    verdict = decided["p50<=+1%"]
    assert verdict.outcome == "inconclusive"
    assert taken == 20
    assert "smallest change that this machine can show" in verdict.reason
    assert "--max-time" in verdict.reason


def test_even_so_what_is_far_too_slow_fails(make_rounds):
    decided, _ = run(make_rounds, ["p50<=+1%"], 3 * levels(spread=0.1, seed=1), levels(spread=0.1, seed=2))
    assert decided["p50<=+1%"].outcome == "fail"


def test_too_short_blocks_for_a_percentile_say_what_it_takes(make_rounds):
    decided, taken = run(make_rounds, ["p99<=1s"], levels())
    takes = (
        "p99 takes 67 samples in each process, and one has 31 (a verdict takes 9 processes); give a longer --duration"
    )
    assert decided["p99<=1s"].reason == takes
    assert taken == 1  # others would be as short


@pytest.mark.parametrize(("budget", "outcome"), [("energy<=5mJ", "pass"), ("energy<=2mJ", "fail")])
def test_energy_is_gated_where_there_is_a_meter(make_rounds, budget, outcome):
    metered = Conditions(wall_ns=10**9, energy_uj={"package-0": 31 * 3_000})

    def take():
        rounds = make_rounds(levels(n=len(seen) + 1))
        seen.append(rounds)
        blocks = [dataclasses.replace(block, conditions=metered) for block in rounds.candidate]
        return Rounds(tuple(blocks))

    seen: list[Rounds] = []
    decided, _ = decide(take, parse_all([budget]), 60.0, clock=lambda: float(len(seen)))
    assert (decided[budget].outcome, len(seen)) == (outcome, 9)


def test_where_there_is_no_meter_a_limit_on_energy_is_inconclusive_at_once(make_rounds):
    decided, taken = run(make_rounds, ["energy<=5mJ"], levels())
    assert (decided["energy<=5mJ"].outcome, taken) == ("inconclusive", 1)
    assert decided["energy<=5mJ"].reason == "energy was not recorded"


def test_energy_of_disturbed_blocks_may_be_anything_less(make_rounds):
    drawn = Conditions(wall_ns=10**9, waited_ns=10**9, energy_uj={"package-0": 31 * 3_000})
    rounds = make_rounds(levels(n=20))
    disturbed = Rounds(tuple(dataclasses.replace(block, conditions=drawn) for block in rounds.candidate))
    bounds = disturbed.bounds(parse_all(["energy<=5mJ"])[0])
    assert bounds.low == 0
    assert bounds.high == pytest.approx(3_000)
    change = Rounds(disturbed.candidate, disturbed.candidate).bounds(parse_all(["energy<=+5%"])[0])
    assert (change.low, change.value, change.high) == (-1.0, 0.0, float("inf"))


def test_a_block_in_which_a_meter_stood_still_may_be_anything_and_ends_nothing(make_rounds):
    rounds = make_rounds(levels(n=20)).candidate
    moved = Conditions(wall_ns=10**9, energy_uj={"package-0": 31 * 2_000, "gpu": 31 * 1_000})
    still = Conditions(wall_ns=10**9, energy_uj={"package-0": 31 * 2_000, "gpu": 0})
    blocks = tuple(dataclasses.replace(block, conditions=moved) for block in rounds)
    one = (dataclasses.replace(rounds[0], conditions=still), *blocks[1:])
    (limit, change) = parse_all(["energy<=5mJ", "energy<=+5%"])
    bounds = Rounds(one).bounds(limit)
    assert (bounds.low, bounds.value, bounds.high) == (pytest.approx(3_000), 3_000, pytest.approx(3_000))
    assert Rounds(one).counted(limit) == 19
    assert Rounds(one[:1]).can_measure(limit)
    with pytest.raises(NotMeasuredError, match="meter did not move"):
        Rounds(one[:1]).bounds(limit)
    assert not Rounds(rounds[:1]).can_measure(limit)  # without a meter, nothing ever will
    assert Rounds(one, blocks).bounds(change).value == 0.0
    assert Rounds(blocks, one).counted(change) == 19


def test_a_tail_is_shown_by_early_stopping_too_and_says_how_many_samples_it_takes(make_block):
    few = [make_block([1 + k / 1e4 for k in range(40)])] * 9
    with_tail = [make_block([1 + k / 1e4 for k in range(400)])] * 9
    (p99,) = parse_all(["p99<=5ms"])
    assert (
        "p99 takes 67 samples in each process, and one has 40 (a verdict takes 9 processes)"
        in judge_rounds(Rounds(tuple(few)), p99).reason
    )
    verdict = judge_rounds(Rounds(tuple(with_tail)), p99)
    assert verdict.outcome == "pass"
    assert "MLPerf's early stopping over 3,600 samples: 1.04 ms" in verdict.reason
    (p999,) = parse_all(["p99.9<=5ms"])
    longer = [make_block([1 + k / 1e5 for k in range(700)])] * 9
    reason = judge_rounds(Rounds(tuple(longer)), p999).reason
    assert "early stopping at p99.9 takes 6,636 samples, and there are 6,300" in reason
