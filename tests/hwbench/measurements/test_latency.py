"""Statistics of raw latency samples."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.measurements.latency import Latency, Load, block_figure
from hwbench.stats import intervals
from hwbench.stats.intervals import Estimate
from runtimes.sampling.closed_loop import Block
from runtimes.sampling.system_conditions import Conditions


def latency_of(blocks, batch=1):
    return Latency("single_stream", batch, 1, tuple(blocks))


def test_samples_are_kept_block_after_block_in_ms(make_block):
    latency = latency_of([make_block([3, 1]), make_block([2.5])])
    assert latency.samples_ms.tolist() == [3, 1, 2.5]


def test_a_percentile_is_that_of_all_samples_together(make_latency):
    latency = make_latency(runs=100)
    pooled = np.sort(latency.samples_ms)
    assert latency.percentile(90).value == pooled[539]
    assert latency.percentile(99).value == pooled[593]


def test_a_percentiles_interval_holds_the_order_statistics_and_every_blocks_own(make_block):
    rng = np.random.default_rng(0)
    alike = latency_of(make_block(rng.lognormal(2, 0.1, 400)) for _ in range(3))
    order = intervals.quantile(alike.samples_ms, 0.9)
    found = alike.percentile(90)
    assert found.low <= order.low <= order.high <= found.high

    apart = latency_of(make_block(factor * rng.lognormal(2, 0.01, 400)) for factor in (1, 1.2, 1.5))
    each = [np.quantile(np.array(block.samples_ns) / 1e6, 0.9, method="median_unbiased") for block in apart.blocks]
    found = apart.percentile(90)
    assert found.low <= min(each) < 1.3 * min(each) < max(each) <= found.high


def test_the_interval_covers_the_median_process_where_processes_differ_more_than_runs(make_block):
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        processes = np.exp(rng.normal(0, 0.05, 6))
        latency = latency_of(make_block(10 * process * rng.lognormal(0, 0.01, 40)) for process in processes)
        found = latency.percentile(50)
        covered += found.low <= 10 <= found.high
    assert covered / 200 >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 200)


@pytest.mark.parametrize(("percent", "needed"), [(50, 6), (90, 36), (95, 72), (99, 368), (99.9, 3688)])
def test_a_percentile_without_samples_enough_says_how_many_it_takes(make_block, percent, needed):
    short = latency_of([make_block(range(1, needed))])
    with pytest.raises(ValueError, match=f"^p{percent:g} takes {needed} samples, and there are {needed - 1}$"):
        short.percentile(percent)
    assert latency_of([make_block(range(1, needed + 1))]).percentile(percent).value > 0


def test_throughput_is_batch_over_mean_latency_and_ranges_over_blocks(make_block):
    found = latency_of([make_block([4, 6]), make_block([10, 10])], batch=2).throughput_per_s
    assert (found.value, found.low, found.high) == pytest.approx((2e3 / 7.5, 200, 400))


def test_load_time_is_the_median_over_blocks(make_block):
    latency = latency_of(make_block([1], load_ms=load) for load in (30, 90, 40))
    assert latency.load_ms == Estimate(40, 30, 90)


def test_peak_memory_is_the_largest_that_is_known(make_block):
    latency = latency_of(make_block([1], peak_bytes=peak) for peak in (30, None, 50))
    assert latency.peak_memory_bytes == Estimate(50, 30, 50)
    assert latency_of([make_block([1], peak_bytes=None)]).peak_memory_bytes is None


@pytest.mark.parametrize("samples", [[], [[]], [[1.0], []]])
def test_a_latency_without_samples_cannot_be(make_block, samples):
    with pytest.raises(ValueError, match="without samples_ns"):
        latency_of(map(make_block, samples))


blocks = st.lists(
    st.builds(
        Block,
        samples_ns=st.lists(st.integers(1, 10**10), min_size=1, max_size=60).map(tuple),
        warmup_ns=st.just(()),
        settled=st.booleans(),
        load_ns=st.integers(0, 10**12),
        cpu_ns=st.just(0),
        preemptions=st.just(0),
        idle_memory_bytes=st.none(),
        peak_memory_bytes=st.none() | st.integers(0, 2**40),
    ),
    min_size=1,
    max_size=6,
)


@given(blocks, st.integers(1, 64), st.sampled_from([50.0, 90.0, 95.0]))
@settings(deadline=None, derandomize=True)
def test_every_figure_is_inside_its_interval(made, batch, percent):
    latency = latency_of(made, batch)
    figures = [latency.throughput_per_s, latency.load_ms]
    figures += [latency.peak_memory_bytes] if latency.peak_memory_bytes else []
    if len(latency.samples_ms) >= intervals.quantile_runs_needed(percent / 100):
        figures.append(latency.percentile(percent))
    for figure in figures:
        assert math.isfinite(figure.low) and math.isfinite(figure.high)
        assert figure.low <= figure.value <= figure.high


def arrived(make_block, samples_ms, arrivals_ms):
    return dataclasses.replace(make_block(samples_ms), arrivals_ns=tuple(int(at * 1e6) for at in arrivals_ms))


def test_throughput_under_arrivals_is_from_the_first_of_them_to_the_last_answer(make_block):
    blocks = [arrived(make_block, [2, 2, 5], [0, 10, 15])] * 6
    assert Latency("server", 1, 1, tuple(blocks), Load(False, 1, 100.0)).throughput_per_s.value == pytest.approx(150)
    blocks = [arrived(make_block, [10, 20], [0, 0])] * 6
    assert Latency("offline", 8, 1, tuple(blocks), Load(True, 1)).throughput_per_s.value == pytest.approx(800)


def test_server_is_saturated_where_answers_fall_behind_the_arrivals(make_block):
    keeps_up = arrived(make_block, [1.0] * 100, range(100))
    falls_behind = arrived(make_block, [0.2 * at for at in range(1, 101)], range(100))
    late_at_last = arrived(make_block, [1.0] * 99 + [5.0], range(100))
    assert not Latency("server", 1, 1, (keeps_up,), Load(False, 1, 1e3)).is_saturated
    assert not Latency("server", 1, 1, (late_at_last,), Load(False, 1, 1e3)).is_saturated
    assert Latency("server", 1, 1, (falls_behind,), Load(False, 1, 1e3)).is_saturated
    assert not Latency("offline", 1, 1, (arrived(make_block, [5.0], [0]),), Load(False, 1)).is_saturated


def test_offline_has_no_percentiles_and_says_why(make_block):
    offline = Latency("offline", 1, 1, (arrived(make_block, range(1, 1_000), [0] * 999),), Load(False, 1))
    with pytest.raises(ValueError, match="issues all samples at once"):
        offline.percentile(50)
    assert offline.tail_ms(90) is None


def test_of_server_the_processes_that_nobody_disturbed_count_where_two_are_left(make_block):
    def process(level, others_s):
        seen = Conditions(wall_ns=10**9, busy_ns=int((1.0 + others_s) * 1e9))
        return dataclasses.replace(arrived(make_block, [level] * 700, range(700)), cpu_ns=10**9, conditions=seen)

    blocks = [process(1.0, 0.0), process(9.0, 0.5), process(2.0, 0.01), process(5.0, 0.05), process(8.0, 0.0)]

    def judged(which, scenario="server"):
        latency = Latency(scenario, 1, 1, tuple(blocks[index] for index in which), Load(False, 1, 1e3))
        return latency.tail_ms(99), latency.percentile(99).value

    assert judged([0, 1]) == (9.0, 9.0)  # one alone is too few
    assert judged([0, 1, 2]) == (2.0, 2.0)
    assert judged([0, 1, 2, 3, 4]) == (8.0, 8.0)  # a slow one that nobody disturbed counts
    assert judged([0, 1, 2], "multi_stream") == (9.0, 9.0)


def metered(block, **energy_uj):
    return dataclasses.replace(block, conditions=Conditions(wall_ns=10**9, energy_uj=energy_uj))


def test_energy_is_what_all_meters_counted_by_inference(make_block):
    blocks = tuple(metered(make_block([1.0] * 10), package=1_000 + n, gpu=500) for n in range(3))
    latency = Latency("single_stream", 1, 1, blocks)
    assert latency.energy_uj == Estimate(150.1, 150.0, 150.2)
    assert latency.meters == ("package", "gpu")


def test_energy_is_by_inference_where_a_query_takes_several(make_block):
    block = dataclasses.replace(metered(make_block([8.0] * 10), package=8_000), batch=8, inferences=8)
    assert Latency("multi_stream", 8, 1, (block,), Load(False, 1)).energy_uj == Estimate(100, 100, 100)
    joined = dataclasses.replace(block, inferences=1)
    assert Latency("multi_stream", 8, 1, (joined,), Load(True, 1)).energy_uj == Estimate(800, 800, 800)


def test_one_meter_that_stood_still_is_no_energy_of_nothing(make_block):
    for drawn in ({"package": 0}, {"package": 1_000, "gpu": 0}):
        with pytest.raises(ValueError, match="meter did not move while a process measured; measure for longer"):
            block_figure(metered(make_block([1.0] * 10), **drawn), "energy")


def test_without_a_meter_there_is_no_energy_and_the_reason_is_the_systems(make_block):
    silent = Conditions(wall_ns=1, unmetered="nothing to read")
    for seen, told in ((None, "energy was not recorded"), (silent, "nothing to read")):
        block = dataclasses.replace(make_block([1.0] * 10), conditions=seen)
        with pytest.raises(ValueError, match=told):
            block_figure(block, "energy")
    assert Latency("single_stream", 1, 1, (make_block([1.0]),)).meters == ()
