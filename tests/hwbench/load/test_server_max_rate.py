"""The search for the largest rate, on simulated queues whose answers are known, so that what it finds can be judged."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.budgets import budget
from hwbench.load import server_max_rate
from hwbench.measurements.latency import Latency, Load
from runtimes.sampling.closed_loop import Block
from runtimes.sampling.system_conditions import Conditions

SERVICE_MS = 1.0


def queue(rate, queries=2_000, workers=1, seed=0, service_ms=SERVICE_MS, stall_ms=0.0, company=False):
    """Poisson arrivals, one queue, workers that all take equally long, and that something else keeps busy at first.

    `company`: the system shows that others used half a processor meanwhile.
    """
    rng = np.random.default_rng(seed)
    due = np.concatenate([[0.0], np.cumsum(rng.exponential(1e3 / rate, queries - 1))])
    free, done = [stall_ms] * workers, []
    for at in due:
        worker = int(np.argmin(free))
        free[worker] = max(free[worker], at) + service_ms
        done.append(free[worker])
    block = Block(
        samples_ns=tuple(((np.asarray(done) - due) * 1e6).astype(int).tolist()),
        warmup_ns=(1,),
        settled=True,
        load_ns=1,
        cpu_ns=1,
        preemptions=0,
        idle_memory_bytes=None,
        peak_memory_bytes=None,
        arrivals_ns=tuple((due * 1e6).astype(int).tolist()),
        conditions=Conditions(wall_ns=10**9, busy_ns=5 * 10**8 if company else 1),
    )
    return Latency("server", 1, 1, (block,), Load(False, workers, rate))


def found(bound, workers=1, capacity=None, lowest=1.0, stalls=lambda rate, place: False):
    """Return the search's result, and the rate of each process; those that `stalls` names lose 200 ms at the start."""
    rates = []

    def measure(rate, place):
        assert place == rates.count(rate)
        rates.append(rate)
        company = stalls(rate, place)
        return queue(rate, workers=workers, seed=len(rates), stall_ms=200.0 * company, company=company)

    capacity = capacity or 1e3 * workers / SERVICE_MS
    return server_max_rate.search(measure, budget.parse(bound), capacity, lowest), rates


def test_looks_at_rates_up_to_saturation_and_then_closes_in_on_the_bound():
    latencies, looked = found("p99<=5ms")
    bound = budget.parse("p99<=5ms")
    asked = [latency.load.target_per_s for latency in latencies]
    best = server_max_rate.largest(latencies, bound)
    assert asked == sorted(asked) and set(asked) == set(looked)
    assert latencies[-1].is_saturated and not latencies[0].is_saturated
    assert all(server_max_rate.holds(latency, bound) for latency in latencies[: best + 1])
    assert not server_max_rate.holds(latencies[best + 1], bound)
    assert asked[best + 1] <= 1.05 * asked[best]


def test_finds_the_rate_that_queueing_theory_says():
    # M/D/1: P(W > t) ~ (1 - r) / (r exp(x) - 1) exp(-x t), where r (exp(x) - 1) = x. At r = 0.56, it is 1% for four
    # services, so that p99 is 5 ms. Early stopping of 2,000 queries asks for somewhat less than that load.
    latencies, _ = found("p99<=5ms")
    best = latencies[server_max_rate.largest(latencies, budget.parse("p99<=5ms"))]
    assert 420 < best.load.target_per_s < 620


@settings(max_examples=15)
@given(st.floats(1.5, 40.0), st.integers(1, 3), st.floats(0.3, 3.0))
def test_whatever_the_bound_and_the_guess_the_answer_lies_between_a_rate_that_holds_and_one_that_misses(
    limit_ms, workers, guess
):
    bound = budget.parse(f"p90<={limit_ms:.3f}ms")
    latencies, _ = found(bound.text, workers, capacity=guess * 1e3 * workers)
    best = server_max_rate.largest(latencies, bound)
    assert best is not None
    assert latencies[best].load.target_per_s <= 1.15e3 * workers  # more than the workers can do holds no bound
    if best + 1 < len(latencies):
        assert latencies[best + 1].load.target_per_s <= 1.0501 * latencies[best].load.target_per_s


def test_a_bound_that_only_idle_servers_hold_is_looked_for_downwards():
    latencies, looked = found("p99<=1.5ms", lowest=2.0)
    best = server_max_rate.largest(latencies, budget.parse("p99<=1.5ms"))
    assert best is not None
    assert min(looked) < 250
    assert latencies[best].load.target_per_s < 250


def test_the_search_ends_where_hardly_a_query_waits():
    _, looked = found("p99<=0.5ms", lowest=1e-9)
    assert 1e3 / 64 <= min(looked) < 2e3 / 64


def test_where_time_forbids_lower_rates_nothing_is_said_of_them():
    latencies, looked = found("p99<=1.01ms", lowest=100.0)
    assert min(looked) == 100
    verdict = server_max_rate.verdict(latencies, budget.parse("p99<=1.01ms"), 100.0)
    assert verdict.outcome == "inconclusive"
    assert verdict.reason.startswith("no rate holds the bound down to 100 per s (p99 ")
    assert verdict.reason.endswith("--duration 7 also tries half of that rate")  # 662 queries at 100 per s


def test_where_hardly_a_query_waits_a_bound_that_is_missed_fails():
    bound = budget.parse("p99<=0.5ms")
    verdict = server_max_rate.verdict(found(bound.text, lowest=1e-9)[0], bound, 1e-9)
    assert verdict.outcome == "fail"
    assert verdict.reason.startswith("no rate holds the bound: 15.6 per s (p99 1")


def test_a_rate_between_the_lowest_and_what_was_halved_is_found():
    bound = budget.parse("p99<=5ms")
    latencies = server_max_rate.search(
        lambda rate, place: queue(rate, seed=place, service_ms=1.0 if rate <= 110 else 6.0), bound, 1e3, 100.0
    )
    assert server_max_rate.verdict(latencies, bound, 100.0).outcome == "pass"
    assert 100 < latencies[server_max_rate.largest(latencies, bound)].load.target_per_s <= 110


def test_a_rate_has_two_processes_and_one_that_misses_a_third():
    latencies, _ = found("p99<=5ms")
    bound = budget.parse("p99<=5ms")
    for latency in latencies:
        alone = dataclasses.replace(latency, blocks=latency.blocks[:2])
        assert len(latency.blocks) in ((2,) if server_max_rate.holds(alone, bound) else (3, 6))


def test_what_disturbs_one_process_of_every_rate_changes_nothing():
    latencies, _ = found("p99<=5ms", stalls=lambda rate, place: place == 0)
    bound = budget.parse("p99<=5ms")
    best = latencies[server_max_rate.largest(latencies, bound)]
    assert len(best.blocks) == 3
    assert 420 < best.load.target_per_s < 620
    assert server_max_rate.verdict(latencies, bound, 1.0).outcome == "pass"


@pytest.mark.parametrize("disturbed", [250.0, 500.0])
def test_a_disturbance_that_outlasts_a_rate_does_not_send_the_search_down_for_good(disturbed):
    latencies, looked = found("p99<=8ms", stalls=lambda rate, place: rate == disturbed and place < 3)
    best = latencies[server_max_rate.largest(latencies, budget.parse("p99<=8ms"))]
    assert looked.count(disturbed) == 6
    assert 550 < best.load.target_per_s < 760  # by the formula above, p99 is 8 ms at 0.71 of the capacity


def test_a_slow_process_that_nobody_disturbed_counts():
    """Were the slower ones left out, a model that is slow in every other process would hold what it misses."""

    def measure(rate, place):
        return queue(rate, seed=place, service_ms=1.0 if place % 2 else 3.0)

    bound = budget.parse("p99<=8ms")
    latencies = server_max_rate.search(measure, bound, 1e3, 1.0)
    assert (
        latencies[server_max_rate.largest(latencies, bound)].load.target_per_s < 300
    )  # 3 ms each answer 333 per s at most


def test_a_queue_that_grew_only_while_something_else_ran_hides_no_higher_rate():
    bound = budget.parse("p99<=8ms")

    def measure(rate, place):
        company = rate == 250 and place < 3
        return queue(rate, seed=place, service_ms=6.0 if company else 1.0, company=company)

    latencies = server_max_rate.search(measure, bound, 1e3, 1.0)
    assert 550 < latencies[server_max_rate.largest(latencies, bound)].load.target_per_s < 760


def test_a_higher_rate_that_held_by_luck_is_found_out_when_the_lower_one_misses_again():
    bound = budget.parse("p99<=5ms")

    def measure(rate, place):
        lucky = rate == 1_000 and place < 2
        return queue(rate, seed=place, service_ms=0.1 if lucky else 1.0)

    latencies = server_max_rate.search(measure, bound, 1e3, 1.0)
    assert server_max_rate.contradicted(latencies, bound) == ()
    assert server_max_rate.verdict(latencies, bound, 1.0).outcome == "pass"
    assert 420 < latencies[server_max_rate.largest(latencies, bound)].load.target_per_s < 620


@pytest.mark.parametrize(("disturbed", "told"), [(250, "missed at 250 per s"), (500, "held at 250 per s")])
def test_where_a_higher_rate_still_holds_nothing_is_sure_and_no_more_time_is_spent(disturbed, told):
    bound = budget.parse("p99<=30ms")
    latencies, looked = found(bound.text, stalls=lambda rate, place: rate == disturbed)
    verdict = server_max_rate.verdict(latencies, bound, 1.0)
    assert verdict.outcome == "inconclusive"
    assert verdict.reason.startswith(told)
    assert " per s (p99 " in verdict.reason and "after all; something else used this machine" in verdict.reason
    assert set(looked) <= {1e3 * step for step in server_max_rate._STEPS}
    assert max(map(looked.count, looked)) <= 6


def test_a_miss_while_other_programs_ran_is_not_sure():
    bound, crowd = budget.parse("p99<=0.5ms"), Conditions(wall_ns=10**9, busy_ns=2 * 10**9)

    def seen(latency):
        return dataclasses.replace(latency, blocks=(dataclasses.replace(latency.blocks[0], conditions=crowd),))

    verdict = server_max_rate.verdict([seen(queue(16.0))], bound, 1e-9)
    assert verdict.outcome == "inconclusive"
    assert verdict.reason.startswith("no rate held the bound down to 16 per s (p99 1")
    assert verdict.reason.endswith(
        "but other programs used 2.0 processors during the measurement; measure again on a quieter machine"
    )
    verdict = server_max_rate.verdict([queue(300.0), seen(queue(900.0))], budget.parse("p90<=2ms"), 1.0)
    assert verdict.outcome == "pass"
    assert verdict.reason.endswith("during the measurement, so the largest rate may be higher")


def test_a_capacity_that_was_measured_far_too_low_hides_no_rate():
    latencies, _ = found("p99<=5ms", capacity=150.0)
    best = latencies[server_max_rate.largest(latencies, budget.parse("p99<=5ms"))]
    assert 420 < best.load.target_per_s < 620


def test_few_queries_that_waited_by_chance_are_no_queue_that_grows():
    grew = {rate: np.mean([queue(rate, 11, seed=seed).is_saturated for seed in range(200)]) for rate in (500, 2_000)}
    assert grew[500] < 0.06
    assert grew[2_000] > 0.6


def test_a_loose_bound_is_held_up_to_saturation_and_not_beyond():
    latencies, _ = found("p99<=60s")
    verdict = server_max_rate.verdict(latencies, budget.parse("p99<=60s"), 1.0)
    assert verdict.outcome == "pass"
    assert verdict.reason.endswith("and the queue grew)")
    assert latencies[server_max_rate.largest(latencies, budget.parse("p99<=60s"))].load.target_per_s < 1_150


def test_a_higher_rate_that_held_by_luck_does_not_count():
    held, missed = queue(300.0), queue(1_500.0)
    lucky = dataclasses.replace(held, load=Load(False, 1, 400.0))
    assert server_max_rate.largest([held, missed, lucky], budget.parse("p99<=5ms")) == 0
    assert server_max_rate.largest([missed, held], budget.parse("p99<=5ms")) is None


def test_too_few_queries_for_early_stopping_hold_nothing():
    bound = budget.parse("p99<=60s")
    assert not server_max_rate.holds(queue(100.0, queries=661), bound)
    assert server_max_rate.holds(queue(100.0, queries=662), bound)


def test_the_verdict_names_both_rates_and_their_figures():
    bound = budget.parse("p90<=2ms")
    verdict = server_max_rate.verdict([queue(300.0), queue(900.0)], bound, 1.0)
    assert verdict.reason.startswith("held at 300 per s (p90 1.") and ", missed at 900 per s (p90 " in verdict.reason
    assert verdict.measured.value <= 2
    assert server_max_rate.verdict([queue(0.4)], bound, 0.1).reason.startswith("held at 0.4 per s (p90 1")


@pytest.mark.parametrize(("text", "percent"), [("p50<=1ms", 50.0), ("p99.9<=1ms", 99.9)])
def test_a_bound_is_on_a_percentile(text, percent):
    assert (
        server_max_rate.is_percentile(budget.parse(text)) and server_max_rate.percent_of(budget.parse(text)) == percent
    )
    assert not server_max_rate.is_percentile(budget.parse("peak_memory<=1MB"))
