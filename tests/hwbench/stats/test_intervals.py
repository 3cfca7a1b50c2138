"""Intervals against brute force, by coverage, and at their edges."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hwbench.stats import intervals
from hwbench.stats.intervals import CONFIDENCE, Estimate, mean, paired_difference, quantile, quantile_runs_needed

TAIL = (1 - CONFIDENCE) / 2
Z = 1.959963984540054
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


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (49, 50), (970, 1000)])
def test_a_proportion_has_wilsons_interval(right, n):
    found = mean([1.0] * right + [0.0] * (n - right), proportion=True)
    share, z2 = right / n, Z**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    assert (found.value, found.low, found.high) == pytest.approx((share, centre - half, centre + half), abs=1e-12)


def tango_by_brute_force(b: int, c: int, n: int) -> tuple[float, float, float]:
    """The score test inverted on a grid, the constrained likelihood maximised numerically; and the grid's step."""
    difference, reach = (b - c) / n, min(2.0, 8 / math.sqrt(n))
    delta = np.linspace(max(-1, difference - reach), min(1, difference + reach), 20_001)
    # Under p12 - p21 = delta, with q = p21: p12 = q + delta and concordance 1 - 2 q - delta, all of them >= 0.
    low, high = np.maximum(0, -delta), (1 - delta) / 2

    def log_likelihood(q):
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = [(b, q + delta), (c, q), (n - b - c, 1 - 2 * q - delta)]
            return sum(np.where(k > 0, k * np.log(np.maximum(p, 0)), 0.0) for k, p in parts if k)

    for _ in range(120):  # a ternary search, since the likelihood is concave
        third = (high - low) / 3
        left, right = low + third, high - third
        better = log_likelihood(left) < log_likelihood(right)
        low, high = np.where(better, left, low), np.where(better, high, right)
    q = (low + high) / 2
    variance = n * (2 * q + delta - delta**2)
    above = b - c - n * delta
    score = np.where(above == 0, 0.0, above / np.sqrt(np.maximum(variance, 1e-30)))
    accepted = delta[np.abs(score) <= Z]
    return float(accepted.min()), float(accepted.max()), float(delta[1] - delta[0])


def pairs(b: int, c: int, n: int) -> tuple[list[float], list[float]]:
    """Scores of two models: b samples that only the first gets right, c that only the second does."""
    rest = n - b - c
    return [1.0] * b + [0.0] * c + [1.0] * rest, [0.0] * b + [1.0] * c + [1.0] * rest


@pytest.mark.parametrize(
    ("b", "c", "n"),
    [
        (0, 0, 1),
        (1, 0, 1),
        (0, 1, 1),
        (1, 1, 2),
        (0, 0, 64),
        (1, 0, 64),
        (0, 3, 64),
        (12, 5, 40),
        (20, 20, 40),
        (40, 0, 40),
        (0, 40, 40),
        (39, 1, 40),
        (3, 7, 100),
        (1, 0, 1000),
        (31, 1, 1000),
        (0, 5, 5000),
        (400, 350, 5000),
    ],
)
def test_paired_proportions_have_the_inverted_score_tests_interval(b, c, n):
    found = paired_difference(*pairs(b, c, n), proportion=True)
    low, high, step = tango_by_brute_force(b, c, n)
    assert found.value == (b - c) / n
    assert (found.low, found.high) == pytest.approx((low, high), abs=1.5 * step)


def test_without_disagreement_the_interval_is_the_score_tests_closed_form():
    found = paired_difference(*pairs(0, 0, 64), proportion=True)
    assert (found.low, found.high) == pytest.approx((-(Z**2) / (64 + Z**2), Z**2 / (64 + Z**2)), abs=1e-9)


@pytest.mark.parametrize(
    ("p12", "p21", "n"),
    [
        pytest.param(0.1, 0.1, 50, id="even"),
        pytest.param(0.3, 0.05, 30, id="a-large-drop"),
        pytest.param(0.01, 0.0, 50, id="rare"),
        pytest.param(0.002, 0.001, 200, id="rarer"),
        pytest.param(0.0, 0.0, 20, id="never"),
        pytest.param(0.9, 0.05, 20, id="nearly-always"),
    ],
)
def test_the_paired_interval_covers_the_true_difference(p12, p21, n):
    covered = total = 0.0
    for b in range(n + 1):
        for c in range(n + 1 - b):
            probability = float(stats.multinomial.pmf([b, c, n - b - c], n, [p12, p21, 1 - p12 - p21]))
            if probability < 1e-5:
                continue
            total += probability
            found = paired_difference(*pairs(b, c, n), proportion=True)
            covered += probability * (found.low <= p12 - p21 <= found.high)
    assert total > 0.99
    assert covered / total >= CONFIDENCE - 0.015  # a score interval holds its level on average, not at every point


def test_no_disagreement_is_no_certainty():
    few, many = (
        paired_difference([1.0] * 10, [1.0] * 10, proportion=True),
        paired_difference([1.0] * 1000, [1.0] * 1000, proportion=True),
    )
    assert few.value == many.value == 0
    assert few.high > 0.2 > 0.01 > many.high > 0.001


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 200))
@slow
def test_paired_proportions_are_symmetric_and_bounded(b, c, rest):
    n = b + c + rest
    if n == 0:
        return
    first, second = pairs(b, c, n)
    found, swapped = (
        paired_difference(first, second, proportion=True),
        paired_difference(second, first, proportion=True),
    )
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=1e-7)


def test_scores_are_paired_by_sample():
    alternating = [0.0, 1.0] * 50
    same = paired_difference(alternating, alternating, proportion=True)
    shuffled = paired_difference(alternating, [*alternating[1:], 0.0], proportion=True)
    assert same.high - same.low < 0.1 < shuffled.high - shuffled.low


@pytest.mark.parametrize("scores", [[0.5], [0.3]])
def test_one_continuous_score_has_no_interval(scores):
    with pytest.raises(ValueError, match="at least 2 samples, and there is 1"):
        mean(scores)
    with pytest.raises(ValueError, match="at least 2 samples, and there is 1"):
        paired_difference(scores, [1.0])


@pytest.mark.parametrize("bad", [[], [0.5, math.nan], [0.5, math.inf]])
def test_scores_that_are_no_numbers_are_refused(bad):
    with pytest.raises(ValueError, match="score"):
        mean(bad)
    with pytest.raises(ValueError, match="score"):
        paired_difference(bad, bad)


def test_a_few_equal_scores_on_a_continuous_scale_are_no_certainty():
    with pytest.raises(ValueError, match="3 equal scores show no spread; an interval takes 10"):
        paired_difference([0.9, 0.8, 0.7], [0.9, 0.8, 0.7])
    assert paired_difference([0.9] * 10, [0.9] * 10) == Estimate(0.0, 0.0, 0.0)


def test_scores_of_other_samples_cannot_be_paired():
    with pytest.raises(ValueError, match="1 scores cannot be paired with 3"):
        paired_difference([1.0], [1.0, 0.0, 1.0])


@pytest.mark.parametrize(
    "scores",
    [
        pytest.param([0.25] * 10, id="equal"),
        pytest.param([1.0] * 3 + [1.0 + 2**-52], id="equal-but-for-rounding"),
        pytest.param([1e-300, 0.0], id="tiny"),
        pytest.param([0.5] * 40 + [0.0], id="an-outlier"),
        pytest.param([-1e6, 1e6], id="two"),
    ],
)
def test_degenerate_scores_have_a_finite_interval(scores):
    found = mean(scores)
    assert math.isfinite(found.low) and math.isfinite(found.high)
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("name", ["exponential", "mostly-one"])
def test_the_bootstraps_interval_covers_the_mean_of_skewed_scores(name):
    rng = np.random.default_rng(3)
    draws = {"exponential": rng.exponential(1, (300, 80)), "mostly-one": 1 - rng.exponential(0.02, (300, 80)) ** 1.2}
    truth = {"exponential": 1.0, "mostly-one": 1 - 0.02**1.2 * math.gamma(2.2)}[name]
    covered = np.mean([found.low <= truth <= found.high for found in map(mean, draws[name])])
    assert covered >= 0.9


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_few_continuous_scores_claim_no_more_than_they_know(n):
    draws = np.random.default_rng(n).normal(0.9, 0.05, (400, n))
    covered = np.mean([found.low <= 0.9 <= found.high for found in map(mean, draws)])
    assert covered >= CONFIDENCE - 3 * math.sqrt(CONFIDENCE * TAIL * 2 / 400)


def test_two_looks_at_the_same_scores_agree():
    scores = np.random.default_rng(0).random(30).tolist()
    assert mean(scores) == mean(scores)


@given(st.lists(finite | st.sampled_from([0.0, 1.0]), min_size=1, max_size=30))
@slow
def test_a_mean_is_finite_and_inside_its_interval(scores):
    _check_or_refused(mean, scores)


@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=30))
@slow
def test_a_difference_is_finite_and_inside_its_interval(both):
    first, second = map(list, zip(*both))
    _check_or_refused(paired_difference, first, second)


def _check_or_refused(estimate, *scores):
    try:
        found = estimate(*scores)
    except ValueError:
        assert len(scores[0]) < 2 or (len(scores[0]) < 10 and len(set(zip(*scores))) < len(scores[0]))
        return
    assert all(map(math.isfinite, (found.low, found.value, found.high)))
    assert found.low <= found.value <= found.high


def test_replicates_interval_holds_the_value_and_95_percent_of_them():
    replicates = np.random.default_rng(0).normal(size=5000)
    found = intervals.percentile_of_replicates(0.0, replicates)
    assert np.mean((replicates >= found.low) & (replicates <= found.high)) == pytest.approx(0.95, abs=0.001)
    assert intervals.percentile_of_replicates(9.0, replicates) == Estimate(9.0, found.low, 9.0)


@pytest.mark.parametrize(("p", "needed"), [(0.9, 64), (0.95, 130), (0.99, 662), (0.999, 6636)])
def test_early_stopping_takes_as_many_samples_as_loadgen_says(p, needed):
    samples = np.arange(needed, dtype=np.float64)
    assert intervals.early_stopping(samples, p) == needed - 1
    with pytest.raises(ValueError, match=f"takes {needed} samples, and there are {needed - 1}"):
        intervals.early_stopping(samples[1:], p)


def test_early_stopping_discards_what_loadgen_discards():
    # LoadGen 6.0.17 of 300 queries at p90: "Would discard 17 highest latency queries."
    assert intervals.early_stopping(np.arange(300.0), 0.9) == 299 - 17


def test_early_stopping_is_below_the_quantile_once_in_a_hundred():
    rng = np.random.default_rng(0)
    below = [intervals.early_stopping(rng.random(200), 0.9) < 0.9 for _ in range(2_000)]
    assert 0.001 < np.mean(below) <= 0.016
