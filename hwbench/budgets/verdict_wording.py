"""Wording of verdicts: figures, intervals and limits in sentences."""

from __future__ import annotations

import math

from hwbench.budgets.budget import Budget
from hwbench.budgets.outcome import Outcome
from hwbench.measurements.accuracy import Against
from hwbench.measurements.quantities import QUANTITIES
from hwbench.stats.intervals import CONFIDENCE, Estimate


def reason_of(
    budget: Budget, outcome: Outcome, measured: Estimate, confidence: float = CONFIDENCE, against: Against = "source"
) -> str:
    """Describe a verdict: the figure, its interval, what it is compared with, and the limit.

    Args:
        budget: the limit.
        outcome: the outcome of the verdict.
        measured: the figure and its interval.
        confidence: the probability that the interval holds the true value.
        against: what a drop of accuracy is measured from; a relative change always is against a baseline.
    """
    value, low, high = (show(figure, budget) for figure in (measured.value, measured.low, measured.high))
    interval = "" if low == high else f" ({low} to {high}, {confidence:.0%} confidence)"
    is_compared = budget.relative or (budget.quantity == "accuracy_drop" and not budget.of_source)
    than = f" against the {'baseline' if budget.relative else against}" if is_compared else ""
    return f"{subject(budget)} {value}{interval}{than} {relation(budget, outcome)} {show(budget.limit, budget)}"


def subject(budget: Budget) -> str:
    """Return the subject of a sentence about a budget's figure: "p90", or "p90 change of" for a relative one."""
    return f"{budget.figure} change of" if budget.relative else budget.figure


def relation(budget: Budget, outcome: Outcome) -> str:
    """Return the verb between a budget's figure and its limit."""
    if outcome == "inconclusive":
        return "may be on either side of"
    upper = {"pass": "is within", "fail": "exceeds"}
    return upper[outcome] if budget.is_upper else {"pass": "is at least", "fail": "is below"}[outcome]


def show(value: float, budget: Budget) -> str:
    """Format a figure of a budget's quantity, with its unit."""
    if budget.relative:
        return f"{value:+.1%}"
    if budget.of_source:
        return f"{value:.2%}"
    return QUANTITIES[budget.quantity].written(value)


def probability_text(probability: float) -> str:
    """Write a probability with two digits, or as many as tell it from 1; it is rounded down."""
    digits = next((digits for digits in (2, 3, 4) if probability < 1 - 0.1**digits), None)
    return f"{math.floor(probability * 10**digits) / 10**digits:g}" if digits else "above 0.9999"
