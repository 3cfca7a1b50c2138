"""Inference about proportions, means and resampled figures: intervals, and how often a confidence errs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.stats.inference import Bootstrap, Jackknife, Known, Mean, Proportion
from hwbench.stats.intervals import CONFIDENCE, Estimate

TAIL = (1 - CONFIDENCE) / 2
Z = 1.959963984540054

slow = settings(deadline=None, max_examples=100, derandomize=True)
finite = st.floats(-1e6, 1e6)


def test_what_is_known_is_certain():
    found = Known(0.0)
    assert found.estimate() == Estimate(0.0, 0.0, 0.0)
    assert (found.at_most(0.0), found.at_most(-0.1), found.at_least(0.0), found.at_least(0.1)) == (1, 0, 1, 0)


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (49, 50), (970, 1000)])
def test_a_proportion_has_wilsons_interval(right, n):
    found = Proportion(right, n).estimate()
    share, z2 = right / n, Z**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    assert (found.value, found.low, found.high) == pytest.approx((share, centre - half, centre + half), abs=1e-12)


@pytest.mark.parametrize(("share", "n"), [(0.97, 50), (0.5, 20), (0.01, 300)])
def test_a_proportion_at_the_limit_is_accepted_no_more_often_than_asked(share, n):
    right = np.random.default_rng(0).binomial(n, share, 3_000)
    for accept in (Proportion.at_least, Proportion.at_most):
        known = {int(count): accept(Proportion(int(count), n), share) for count in np.unique(right)}
        assert np.mean([known[int(count)] >= 0.95 for count in right]) <= 0.05 + 3 * math.sqrt(0.05 / 3_000)
    assert Proportion(n, n).at_most(1.0) == Proportion(0, n).at_least(0.0) == 1


@pytest.mark.parametrize("scores", [[0.5], [0.3]])
def test_one_continuous_score_has_no_interval(scores):
    with pytest.raises(ValueError, match="at least 2 samples, and there is 1"):
        Mean(scores)


@pytest.mark.parametrize("bad", [[], [0.5, math.nan], [0.5, math.inf]])
def test_scores_that_are_no_numbers_are_refused(bad):
    with pytest.raises(ValueError, match="score"):
        Mean(bad)


def test_a_few_equal_scores_on_a_continuous_scale_are_no_certainty():
    with pytest.raises(ValueError, match="3 equal scores show no spread; an interval takes 10"):
        Mean([0.0, 0.0, 0.0])
    assert Mean([0.0] * 10).estimate() == Estimate(0.0, 0.0, 0.0)
    assert (Mean([0.0] * 10).at_most(0.0), Mean([0.0] * 10).at_most(-0.1)) == (1, 0)


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
    found = Mean(scores).estimate()
    assert math.isfinite(found.low) and math.isfinite(found.high)
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("name", ["exponential", "mostly-one"])
def test_the_bootstraps_interval_covers_the_mean_of_skewed_scores(name):
    rng = np.random.default_rng(3)
    draws = {"exponential": rng.exponential(1, (300, 80)), "mostly-one": 1 - rng.exponential(0.02, (300, 80)) ** 1.2}
    truth = {"exponential": 1.0, "mostly-one": 1 - 0.02**1.2 * math.gamma(2.2)}[name]
    covered = np.mean([found.low <= truth <= found.high for found in (Mean(row).estimate() for row in draws[name])])
    assert covered >= 0.9


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_few_continuous_scores_claim_no_more_than_they_know(n):
    draws = np.random.default_rng(n).normal(0.9, 0.05, (400, n))
    covered = np.mean([found.low <= 0.9 <= found.high for found in (Mean(row).estimate() for row in draws)])
    assert covered >= CONFIDENCE - 3 * math.sqrt(CONFIDENCE * TAIL * 2 / 400)


@pytest.mark.parametrize("name", ["normal", "exponential", "mostly-one"])
def test_a_mean_at_the_limit_is_accepted_about_as_often_as_asked(name):
    rng = np.random.default_rng(4)
    draws = {
        "normal": rng.normal(1, 1, (150, 40)),
        "exponential": rng.exponential(1, (150, 80)),
        "mostly-one": 1 - rng.exponential(0.02, (150, 80)) ** 1.2,
    }[name]
    truth = {"normal": 1.0, "exponential": 1.0, "mostly-one": 1 - 0.02**1.2 * math.gamma(2.2)}[name]
    for confident in (Mean.at_most, Mean.at_least):
        assert np.mean([confident(Mean(row), truth) >= 0.95 for row in draws]) <= 0.09


def test_a_mean_is_surely_within_what_lies_beyond_its_interval():
    found = Mean(np.random.default_rng(0).exponential(1, 60))
    estimate = found.estimate()
    assert found.at_most(estimate.high) == pytest.approx(0.975, abs=0.01)
    assert found.at_least(estimate.low) == pytest.approx(0.975, abs=0.01)
    assert found.at_most(estimate.high + 1) > 0.999 > 0.001 > found.at_most(estimate.low - 1)


def test_two_looks_at_the_same_scores_agree():
    scores = np.random.default_rng(0).random(30).tolist()
    assert Mean(scores).estimate() == Mean(scores).estimate()


@given(st.lists(finite | st.sampled_from([0.0, 1.0]), min_size=1, max_size=30))
@slow
def test_a_mean_is_finite_and_inside_its_interval(scores):
    try:
        found = Mean(scores)
    except ValueError:
        assert len(scores) < 2 or (len(scores) < 10 and len(set(scores)) == 1)
        return
    estimate = found.estimate()
    assert all(map(math.isfinite, (estimate.low, estimate.value, estimate.high)))
    assert estimate.low <= estimate.value <= estimate.high
    assert 0 <= found.at_most(0.0) <= 1 >= found.at_least(0.0) >= 0


def test_replicates_interval_holds_the_value_and_95_percent_of_them():
    replicates = np.random.default_rng(0).normal(size=5000)
    found = Bootstrap(0.0, replicates).estimate()
    assert np.mean((replicates >= found.low) & (replicates <= found.high)) == pytest.approx(0.95, abs=0.001)
    assert Bootstrap(9.0, replicates).estimate() == Estimate(9.0, found.low, 9.0)


@pytest.mark.parametrize("kind", [Bootstrap, Jackknife])
def test_replicates_that_never_move_prove_as_much_as_the_number_of_samples(kind):
    still = np.zeros(20)
    assert kind(0.0, still, 50).at_most(0.01) == pytest.approx(1 - 0.99**50)
    assert kind(0.0, still, 299).at_most(0.01) > 0.95
    assert kind(0.0, still, 50).at_most(-0.01) == 0
    assert kind(0.0, still).at_most(0.01) == 1  # no share, so that a sample may weigh anything


@pytest.mark.parametrize("kind", [Bootstrap, Jackknife])
def test_a_share_counts_one_more_sample_as_lost(kind):
    replicates = np.random.default_rng(0).normal(0.0, 0.002, 20)
    share, other = kind(0.0, replicates, 200), kind(0.0, replicates)
    assert other.at_most(0.008) > share.at_most(0.008) > 0.5 > share.at_most(0.004)
    assert other.at_least(-0.008) > share.at_least(-0.008)


def jackknifed(values, groups):
    return np.array([np.delete(values, slice(group, None, groups)).mean() for group in range(groups)])


def test_a_jackknife_of_single_samples_has_students_interval_of_a_mean():
    values = np.random.default_rng(1).normal(3, 2, 30)
    found = Jackknife(float(values.mean()), jackknifed(values, 30)).estimate()
    half = 2.0452296421327034 * values.std(ddof=1) / math.sqrt(30)  # Student's quantile of 29 degrees of freedom
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))


def test_a_jackknife_of_ten_groups_errs_as_seldom_as_it_says():
    draws = np.random.default_rng(2).exponential(1, (1_000, 60))
    sure = [Jackknife(row.mean(), jackknifed(row, 10)).at_least(1.0) >= 0.95 for row in draws]
    assert np.mean(sure) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1_000)
