"""The error of many budgets: how it is split, and that the split holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.budgets.budget import parse_all
from hwbench.budgets.family_error import FamilyError
from hwbench.stats.confidence_sequences import wealth


@given(st.floats(1e-6, 0.5), st.integers(1, 50))
def test_failures_share_the_error_and_passes_do_not(total, tests):
    error = FamilyError(total, tests)
    assert error.of_failing * tests == pytest.approx(total)
    assert error.of_passing == total


def test_what_no_sample_decides_takes_no_share():
    budgets = parse_all(["p50<=2ms", "p99<=5ms", "accuracy>=0.9", "size<=5MB"])
    assert FamilyError.of(0.06, budgets, gates=2) == FamilyError(0.06, 6)
    assert FamilyError.of(0.06, budgets[3:]) == FamilyError(0.06, 1)
    assert "at most 0.06 over 3 budgets in each of 2 gates, 0.01 for each" in FamilyError(0.06, 6).describe(2)


def test_a_family_at_its_limits_errs_as_rarely_as_it_says():
    """Budgets whose figures lie on the limit, looked at after every round: without a split, the errors add up."""
    families, tests, rounds, total = 2_000, 5, 60, 0.1
    above = np.random.default_rng(0).random((families, tests, rounds)) < 0.5
    best = wealth(np.arange(1, rounds + 1), above.cumsum(axis=2)).max(axis=2)

    def share(alpha):
        return (best >= math.log(1 / alpha)).any(axis=1).mean()

    error = FamilyError(total, tests)
    assert share(error.of_failing) <= total
    assert share(error.of_passing) > total
