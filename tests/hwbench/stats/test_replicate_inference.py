"""Inference from replicates: intervals by bootstrap and jackknife, and replicates that never move."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwbench.stats.intervals import Estimate
from hwbench.stats.replicate_inference import Bootstrap, Jackknife


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
