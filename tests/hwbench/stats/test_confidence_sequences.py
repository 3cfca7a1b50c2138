"""Bounds on a median that may be looked at after every figure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from hwbench.stats import confidence_sequences
from hwbench.stats.confidence_sequences import ALPHA, blocks_needed, detectable_shift, lower_bound, upper_bound, wealth


@pytest.mark.parametrize(("n", "wins"), [(0, 0), (9, 9), (12, 3), (40, 29), (200, 100)])
def test_the_wealth_is_the_mixture_of_all_bets_on_one_side(n, wins):
    mixture, _ = integrate.quad(lambda p: 2 * (2 * p) ** wins * (2 * (1 - p)) ** (n - wins), 0.5, 1)
    assert float(wealth(n, np.asarray(wins))) == pytest.approx(math.log(mixture), abs=1e-6)


def test_betting_on_a_fair_coin_pays_nothing_on_average():
    n = 15
    wins = np.arange(n + 1)
    assert float(np.sum(stats.binom.pmf(wins, n, 0.5) * np.exp(wealth(n, wins)))) == pytest.approx(1)


def test_looking_after_every_figure_errs_no_more_often_than_promised():
    runs, blocks = 20_000, 60
    wins = (np.random.default_rng(0).random((runs, blocks)) < 0.5).cumsum(axis=1)
    worth = wealth(np.arange(1, blocks + 1), wins)
    wrong = float(np.mean((worth >= math.log(1 / ALPHA)).any(axis=1)))
    assert 0.004 < wrong <= ALPHA


def test_nine_figures_on_one_side_are_sure_and_eight_are_not():
    figures = np.arange(1.0, 10)
    assert blocks_needed() == 9
    assert upper_bound(figures, figures) == 9
    assert lower_bound(figures, figures) == 1
    assert upper_bound(figures[:8], figures[:8]) == math.inf
    assert lower_bound(figures[:8], figures[:8]) == -math.inf


def test_what_does_not_count_still_bounds_by_its_highest_figure():
    nothing, highest = np.empty(0), np.full(11, 5.0)
    assert upper_bound(nothing, highest) == 5  # eleven where nine would do: one of the two bettors has nothing
    assert upper_bound(nothing, highest[:10]) == math.inf
    assert lower_bound(nothing, np.full(11, 0.5)) == 0.5


@given(st.lists(st.floats(0.1, 10), min_size=9, max_size=80), st.floats(0.5, 2))
@settings(derandomize=True)
def test_bounds_are_figures_around_the_median_and_scale_with_them(values, factor):
    figures = np.asarray(values)
    low, high = lower_bound(figures, figures), upper_bound(figures, figures)
    assert low <= np.median(figures) <= high
    assert {low, high} <= set(values)
    assert upper_bound(figures * factor, figures * factor) == pytest.approx(high * factor)


def test_the_smallest_visible_change_is_seen_as_often_as_it_says():
    rng, n, runs, sigma = np.random.default_rng(1), 40, 400, 0.02
    shift = detectable_shift(rng.normal(0, sigma, 4_000), n)
    draws = rng.normal(shift, sigma, (runs, n))
    seen = sum(lower_bound(figures, figures) > 0 for figures in draws)
    assert seen / runs >= confidence_sequences.POWER - 0.03
    assert shift < 1.2 * sigma
    assert detectable_shift(np.empty(0), n) == math.inf
    assert detectable_shift(np.ones(5), 8) == math.inf


def test_more_figures_show_smaller_changes():
    strays = np.random.default_rng(2).normal(0, 1, 500)
    shifts = [detectable_shift(strays, n) for n in (9, 20, 40, 80)]
    assert shifts == sorted(shifts, reverse=True)


def test_relative_spread_is_a_standard_deviation_that_an_outlier_does_not_move():
    values = [*np.random.default_rng(3).normal(100, 2, 2_000), 1e6]
    assert confidence_sequences.relative_spread(values) == pytest.approx(0.02, rel=0.1)
