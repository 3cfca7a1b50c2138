"""Quantiles' intervals against brute force, by coverage, and at their edges."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hwbench.stats import intervals
from hwbench.stats.intervals import CONFIDENCE, quantile, quantile_runs_needed

TAIL = (1 - CONFIDENCE) / 2
PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9)

slow = settings(deadline=None, max_examples=100, derandomize=True)
finite = st.floats(-1e6, 1e6)


def binomial_at_most(k: int, n: int, p: float) -> float:
    def log_probability(i: int) -> float:
        ways = math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1)
        return ways + i * math.log(p) + (n - i) * math.log1p(-p)

    return math.fsum(math.exp(log_probability(i)) for i in range(k + 1))


@pytest.mark.parametrize(
    ("n", "p"),
    [
        (6, 0.5),
        (7, 0.5),
        (40, 0.5),
        (36, 0.9),
        (100, 0.9),
        (101, 0.95),
        (36, 0.1),
        (368, 0.99),
        (1000, 0.99),
        (4000, 0.999),
    ],
)
def test_a_quantiles_ranks_are_the_tightest_with_less_than_a_tail_outside(n, p):
    found = quantile(np.random.default_rng(0).permutation(np.arange(1, n + 1)), p)
    low, high = int(found.low), int(found.high)  # the samples are their own ranks
    # The truth is below sample `low` when fewer than `low` samples are below the truth.
    assert binomial_at_most(low - 1, n, p) <= TAIL < binomial_at_most(low, n, p)
    assert 1 - binomial_at_most(high - 1, n, p) <= TAIL < 1 - binomial_at_most(high - 2, n, p)


def test_a_quantile_is_the_nearest_rank():
    for percent in PERCENTS:
        for n in (*range(3688, 3700), 4000, 5000, 10_000, 20_000):
            rank = math.ceil(Fraction(round(percent * 10), 1000) * n)
            assert quantile(np.arange(1, n + 1), percent / 100).value == rank, (percent, n)


@pytest.mark.parametrize("percent", PERCENTS)
def test_runs_needed_are_the_fewest_that_bound_both_sides(percent):
    p = percent / 100
    needed = quantile_runs_needed(p)
    assert p**needed <= TAIL < p ** (needed - 1)
    assert math.isfinite(quantile(np.arange(needed), p).high)
    with pytest.raises(ValueError, match=rf"^p{percent:g} takes {needed} samples, and there are {needed - 1}$"):
        quantile(np.arange(needed - 1), p)


def test_runs_needed_are_as_many_for_a_low_quantile():
    assert quantile_runs_needed(0.01) == quantile_runs_needed(0.99) == 368


@pytest.mark.parametrize("percent", [50.0, 90.0, 99.0])
@pytest.mark.parametrize("name", ["lognormal", "exponential", "bimodal", "rounded"])
def test_a_quantiles_interval_covers_the_truth_of_skewed_latencies(name, percent):
    uniform = np.random.default_rng(7).random((600, 400))
    inverse = {
        "lognormal": stats.lognorm(1.2).ppf,
        "exponential": stats.expon.ppf,
        "bimodal": lambda u: np.where(u < 0.93, 1 + u, 20 + u),
        "rounded": lambda u: np.ceil(stats.expon.ppf(u) * 4),  # a coarse clock: many samples are equal
    }[name]
    truth = float(inverse(np.array(percent / 100)))
    estimates = [quantile(row, percent / 100) for row in inverse(uniform)]
    covered = np.mean([found.low <= truth <= found.high for found in estimates])
    assert covered >= CONFIDENCE - 3 * math.sqrt(CONFIDENCE * TAIL * 2 / len(uniform))


@given(st.lists(finite, min_size=6, max_size=80), st.sampled_from([0.5, 0.7, 0.9]))
@slow
def test_a_quantile_is_between_samples_and_inside_its_interval(samples, p):
    if len(samples) < quantile_runs_needed(p):
        with pytest.raises(ValueError, match="takes"):
            quantile(np.array(samples), p)
        return
    found = quantile(np.array(samples), p)
    assert min(samples) <= found.low <= found.value <= found.high <= max(samples)
    assert {found.low, found.value, found.high} <= set(samples)


@pytest.mark.parametrize(("p", "needed"), [(0.9, 64), (0.95, 130), (0.99, 662), (0.999, 6636)])
def test_early_stopping_takes_as_many_samples_as_loadgen_says(p, needed):
    samples = np.arange(needed, dtype=np.float64)
    assert intervals.early_stopping(samples, p) == needed - 1
    with pytest.raises(ValueError, match=f"takes {needed:,} samples, and there are {needed - 1:,}"):
        intervals.early_stopping(samples[1:], p)


def test_early_stopping_discards_what_loadgen_discards():
    # LoadGen 6.0.17 of 300 queries at p90: "Would discard 17 highest latency queries."
    assert intervals.early_stopping(np.arange(300.0), 0.9) == 299 - 17


def test_early_stopping_is_below_the_quantile_once_in_a_hundred():
    rng = np.random.default_rng(0)
    below = [intervals.early_stopping(rng.random(200), 0.9) < 0.9 for _ in range(2_000)]
    assert 0.001 < np.mean(below) <= 0.016
