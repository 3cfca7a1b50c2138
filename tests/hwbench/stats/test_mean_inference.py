"""Inference about a mean: coverage of the interval, how often a confidence errs, and scores that show nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.stats.intervals import CONFIDENCE, Estimate
from hwbench.stats.mean_inference import Mean

TAIL = (1 - CONFIDENCE) / 2

slow = settings(deadline=None, max_examples=100, derandomize=True)
finite = st.floats(-1e6, 1e6)


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
