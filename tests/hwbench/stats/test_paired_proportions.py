"""Paired proportions: intervals and p-values by brute force, by coverage, and with samples that nobody labelled."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hwbench.stats import paired_proportions
from hwbench.stats.intervals import CONFIDENCE
from hwbench.stats.paired_proportions import Flips, PairedProportions, exact_p_value

Z = 1.959963984540054

slow = settings(deadline=None, max_examples=100, derandomize=True)


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
    found = PairedProportions(b, c, n).estimate()
    low, high, step = tango_by_brute_force(b, c, n)
    assert found.value == (b - c) / n
    assert (found.low, found.high) == pytest.approx((low, high), abs=1.5 * step)


def test_without_disagreement_the_interval_is_the_score_tests_closed_form():
    found = PairedProportions(0, 0, 64).estimate()
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
            found = PairedProportions(b, c, n).estimate()
            covered += probability * (found.low <= p12 - p21 <= found.high)
    assert total > 0.99
    assert covered / total >= CONFIDENCE - 0.015  # a score interval holds its level on average, not at every point


def test_no_disagreement_is_no_certainty():
    few, many = (PairedProportions(0, 0, n).estimate() for n in (10, 1000))
    assert few.value == many.value == 0
    assert few.high > 0.2 > 0.01 > many.high > 0.001


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 200))
@slow
def test_paired_proportions_are_symmetric_and_bounded(b, c, rest):
    n = b + c + rest
    if n == 0:
        return
    found, swapped = PairedProportions(b, c, n).estimate(), PairedProportions(c, b, n).estimate()
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=1e-7)


def tables(n: int, lose: float, gain: float):
    """All numbers of lost and gained samples with their probabilities."""
    both = [max(lose, 0.0), max(gain, 0.0)]
    each = [*both, max(1 - sum(both), 0.0)]
    for lost in range(n + 1):
        for gained in range(n + 1 - lost):
            yield lost, gained, float(stats.multinomial.pmf([lost, gained, n - lost - gained], n, each))


@pytest.mark.parametrize(("n", "limit"), [(12, 0.0), (12, -0.1), (12, 0.2), (40, 0.05)])
def test_a_difference_at_the_limit_is_accepted_no_more_often_than_the_p_value_says(n, limit):
    for gain in np.linspace(max(0.0, -limit), (1 - limit) / 2 - 1e-9, 7):
        known = [(exact_p_value(lost, gained, n, limit), p) for lost, gained, p in tables(n, gain + limit, gain)]
        for error in (0.01, 0.05, 0.2):
            assert sum(p for value, p in known if value <= error) <= error + 1e-9


def test_without_disagreement_it_is_the_binomial_tests_p_value():
    assert exact_p_value(0, 0, 299, 0.01) == pytest.approx(0.99**299, abs=2e-6)
    assert PairedProportions(0, 0, 299).at_most(0.01) > 0.95 > PairedProportions(0, 0, 298).at_most(0.01)


@pytest.mark.parametrize(("n", "limit", "lost"), [(2_000, 0.05, 520), (20_000, 0.01, 575), (100_000, 0.002, 572)])
def test_with_a_thousand_discordant_pairs_the_normal_distribution_agrees_with_all_tables(monkeypatch, n, limit, lost):
    approximate = exact_p_value.__wrapped__(lost, 1_000 - lost, n, limit)
    monkeypatch.setattr(paired_proportions, "_MANY", 1_001)
    assert 0.01 < approximate < 0.1
    assert approximate == pytest.approx(exact_p_value.__wrapped__(lost, 1_000 - lost, n, limit), abs=2e-4)


@given(st.integers(0, 12), st.integers(0, 12), st.integers(1, 300), st.floats(-0.2, 0.2))
@slow
def test_confidence_rises_with_the_limit_and_the_two_sides_mirror_each_other(lost, gained, rest, limit):
    pairs, swapped = (
        PairedProportions(lost, gained, lost + gained + rest),
        PairedProportions(gained, lost, lost + gained + rest),
    )
    assert 0 <= pairs.at_most(limit) <= 1
    assert pairs.at_most(limit) <= pairs.at_most(limit + 0.05) + 1e-5
    assert pairs.at_least(limit) == swapped.at_most(-limit)


def test_a_limit_that_nothing_exceeds_holds_and_one_that_everything_exceeds_does_not():
    assert PairedProportions(3, 1, 50).at_most(1.0) == 1
    assert PairedProportions(3, 1, 50).at_most(-1.0) == 0
    assert PairedProportions(0, 0, 50).at_most(0.0) == 0  # no finite number of samples shows that nothing is lost


def test_samples_without_labels_show_that_few_decisions_change():
    assert PairedProportions(0, 0, 100).at_most(0.01) < 0.7
    assert PairedProportions(0, 0, 100, Flips(2_000, 4)).at_most(0.01) > 0.999
    assert PairedProportions(0, 0, 100, Flips(2_000, 30)).at_most(0.01) < 0.7


def test_samples_that_were_announced_and_not_run_count_as_a_test_that_was_made():
    alone, announced = PairedProportions(0, 0, 300), PairedProportions(0, 0, 300, Flips(2_000))
    assert announced.at_most(0.01) == pytest.approx(1 - (1 - alone.at_most(0.01)) / 0.8)
    assert PairedProportions(0, 0, 100, Flips(2_000)).at_most(0.01) == 0  # too few labels, so that flips have it all


@pytest.mark.parametrize(("n", "m"), [(30, 40), (60, 80), (20, 200)])
@pytest.mark.parametrize(("gain", "both_wrong"), [(0.0, 0.0), (0.02, 0.0), (0.05, 0.03)])
def test_with_samples_without_labels_a_loss_at_the_limit_is_accepted_as_seldom(n, m, gain, both_wrong):
    limit, accepted = 0.05, 0.0
    flips = stats.binom.pmf(np.arange(m + 1), m, gain + limit + gain + both_wrong)
    for lost, gained, p in tables(n, gain + limit, gain):
        if p > 1e-7:
            passes = [PairedProportions(lost, gained, n, Flips(m, k)).at_most(limit) >= 0.95 for k in range(m + 1)]
            accepted += p * float(flips[passes].sum())
    assert accepted <= 0.05 + 1e-4


def test_the_estimate_is_bounded_by_the_flips():
    found = PairedProportions(1, 0, 100, Flips(2_000, 4)).estimate()
    assert found.value == pytest.approx(5 / 2_100)
    assert -0.003 > found.low > -0.01 < found.high < 0.01
    swapped = PairedProportions(0, 1, 100, Flips(2_000, 4)).estimate()
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))


@pytest.mark.parametrize(("lost", "gained", "n"), [(0, 0, 100), (2, 1, 200), (20, 14, 900)])
def test_as_many_samples_as_are_said_to_be_needed_decide(lost, gained, n):
    pairs = PairedProportions(lost, gained, n)
    times = 1.1 * pairs.pairs_needed(0.01, 0.95) / n
    assert pairs.at_most(0.01) < 0.95
    assert PairedProportions(round(times * lost), round(times * gained), round(times * n)).at_most(0.01) >= 0.94
    assert PairedProportions(9, 0, 100).pairs_needed(0.01, 0.95) == math.inf


def test_as_many_flips_as_are_said_to_be_needed_decide():
    pairs = PairedProportions(0, 0, 100, Flips(400, 2))
    assert pairs.at_most(0.01) < 0.95
    times = 1.1 * pairs.flips_needed(0.01, 0.95) / 500
    assert PairedProportions(0, 0, 100, Flips(round(500 * times) - 100, round(2 * times))).at_most(0.01) >= 0.95
    assert PairedProportions(0, 0, 100, Flips(400, 9)).flips_needed(0.01, 0.95) == math.inf
