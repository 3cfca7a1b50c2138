"""Wording of verdicts: probabilities, and figures in a budget's unit."""

from __future__ import annotations

import pytest

from hwbench.budgets import verdict_wording
from hwbench.budgets.budget import parse


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (0.5, "0.5"),
        (0.946, "0.94"),
        (0.9899, "0.98"),
        (0.9956, "0.995"),
        (0.99987, "0.9998"),
        (0.99999, "above 0.9999"),
    ],
)
def test_a_probability_is_rounded_down_to_as_many_digits_as_tell_it_from_one(probability, text):
    assert verdict_wording.probability_text(probability) == text


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("p90<=1ms", 1.2345, "1.23 ms"),
        ("p90<=1ms", 0.00123, "0.00123 ms"),
        ("load_time<=1s", 1234.5, "1,234 ms"),
        ("size<=5MB", 3_620_000, "3.62 MB"),
        ("throughput>=100/s", 12345.6, "12,346/s"),
        ("throughput>=1/s", 0.4321, "0.432/s"),
        ("accuracy>=0.97", 0.97654, "0.9765"),
        ("accuracy_drop<=0.01", -0.002, "-0.0020"),
        ("p90<=+5%", 0.0512, "+5.1%"),
        ("size<=-5%", -0.0512, "-5.1%"),
    ],
)
def test_figures_are_shown_in_the_budgets_unit(text, value, shown):
    assert verdict_wording.show(value, parse(text)) == shown
