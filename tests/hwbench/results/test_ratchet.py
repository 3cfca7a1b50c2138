"""Limits that follow improvements and never regressions."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hwbench.budgets.budget import parse_all
from hwbench.results.history import Point
from hwbench.results.ratchet import tightened


def points(highs, outcome="pass"):
    at = datetime.datetime(2026, 1, 1)
    return [Point(at, "m", "p", "d", "0", "p90", 0.9 * high, 0.8 * high, high, outcome) for high in highs]


def limit_of(highs, text="p90<=20ms", outcome="pass"):
    (budget,), notes = tightened(parse_all([text]), lambda quantity: points(highs, outcome))
    assert bool(notes) == (budget.text != text)
    return budget.limit


def test_a_limit_follows_three_runs_in_a_row_that_passed():
    assert limit_of([]) == 20
    assert limit_of([10, 10]) == 20
    assert limit_of([10, 12, 10]) == pytest.approx(1.05 * 12)
    assert limit_of([10, 12, 10, 1]) == pytest.approx(1.05 * 12)
    assert limit_of([10, 12, 10], outcome="fail") == 20
    assert limit_of([30, 30, 30]) == 20
    assert limit_of([10, 10, 10], "throughput>=1/s") == pytest.approx(0.95 * 8)
    assert limit_of([4e6, 4e6, 4e6], "size<=5MB") == 4e6
    for text in ("p90<=+5%", "accuracy_drop<=0.01", "p90@L=4<=20ms"):
        assert limit_of([1e-6] * 3, text) == parse_all([text])[0].limit


@given(some.lists(some.floats(0.01, 100)), some.lists(some.floats(0.01, 100)))
def test_a_limit_never_moves_back(earlier, later):
    assert limit_of([*earlier, *later]) <= limit_of(earlier) <= 20
    assert limit_of([*earlier, *later], "throughput>=1/s") >= limit_of(earlier, "throughput>=1/s") >= 1
