"""Verdict of a sequential gate on one budget, from the rounds measured so far."""

from __future__ import annotations

import math

from hwbench.budgets.budget import Budget
from hwbench.budgets.outcome import Outcome
from hwbench.budgets.verdict_wording import reason_of
from hwbench.budgets.verdicts import Verdict, outcome_of
from hwbench.gate.rounds import Rounds
from hwbench.measurements.report import NotMeasuredError
from hwbench.stats.confidence_sequences import ALPHA
from hwbench.stats.intervals import Estimate

_CONFIDENCE = 1 - 2 * ALPHA
"""Of an interval, whose two bounds are each wrong with probability `ALPHA` at most."""


def judge_rounds(rounds: Rounds, budget: Budget, budgets: int = 1) -> Verdict:
    """Judge a quantity of the machine by the rounds measured so far; this may be repeated after every round.

    Args:
        rounds: one or more.
        budget: the limit.
        budgets: number of budgets of the gate. One failure fails the gate, so they share the probability `ALPHA` of a
            wrong failure at the limit; the probability of a wrong pass is `ALPHA` for each.
    """
    try:
        bounds = rounds.bounds(budget, ALPHA / budgets)
    except NotMeasuredError as missing:
        return Verdict(budget, "inconclusive", None, str(missing))
    undisturbed_bounds = bounds
    if rounds.counted(budget) < len(rounds):
        undisturbed_bounds = rounds.bounds(budget, ALPHA / budgets, undisturbed_only=True)
    outcome, change = outcome_of(budget, bounds), rounds.detectable_change(budget, len(rounds))
    if outcome != "inconclusive" and outcome_of(budget, undisturbed_bounds) == "inconclusive":
        reason = _despite_interference(budget, outcome, rounds.median(budget))
    elif undisturbed_bounds.low > (-1.0 if budget.relative else 0.0) and math.isfinite(undisturbed_bounds.high):
        reason = reason_of(budget, outcome, bounds, _CONFIDENCE)
    else:  # the undisturbed processes are too few for an interval, and bounds from disturbed ones would mislead
        reason = reason_of(budget, outcome, _point(bounds.value))
    reason += f"; {rounds.describe_undisturbed(budget)}"
    if math.isfinite(change):
        reason += f"; a change of {change:.1%} would have been detected"
    is_bounded = math.isfinite(bounds.low) and math.isfinite(bounds.high)
    return Verdict(
        budget,
        outcome,
        bounds if is_bounded else None,
        reason,
        change if math.isfinite(change) else None,
        rounds.counted(budget),
    )


def _despite_interference(budget: Budget, outcome: Outcome, value: float) -> str:
    """Describe a verdict that rests on disturbed processes: interference slows a model down, but by a bounded
    factor.
    """
    text = reason_of(budget, outcome, _point(value))
    if budget.relative:
        return f"{text} by more than interference can explain"
    if outcome == "pass":
        return f"{text} even in the disturbed processes; interference only slows a model down"
    ratio = value / budget.limit if budget.is_upper else budget.limit / value
    return f"{text} by a factor of {ratio:.3g}, more than interference can explain"


def _point(value: float) -> Estimate:
    return Estimate(value, value, value)
