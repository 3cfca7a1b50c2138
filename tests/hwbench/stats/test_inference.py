"""Inference about what is known, and about proportions: intervals, and how often a confidence errs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwbench.stats.inference import Known, Proportion
from hwbench.stats.intervals import Estimate

Z = 1.959963984540054


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
