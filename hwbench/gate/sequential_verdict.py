"""The verdict of a sequential gate on one budget, from the rounds measured so far."""

from __future__ import annotations

import math

from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import Outcome, Verdict, outcome_of, reason_of, show
from hwbench.gate.rounds import Rounds
from hwbench.measurements.report import NotMeasuredError
from hwbench.stats.confidence_sequences import ALPHA


def judge_rounds(rounds: Rounds, budget: Budget, budgets: int = 1) -> Verdict:
    """The verdict on a quantity of the machine from what was measured so far; it may be asked for after every round.

    A wrong verdict at the limit has a probability of `ALPHA` at most to each side. To fail any of several is to fail,
    so each of `budgets` has its share of that.
    """
    try:
        bounds = rounds.bounds(budget, ALPHA / budgets)
    except NotMeasuredError as missing:
        return Verdict(budget, "inconclusive", None, str(missing))
    if rounds.counted(budget) < len(rounds):
        alone = rounds.bounds(budget, ALPHA / budgets, counted_only=True)
    else:
        alone = bounds
    outcome, detectable_change = outcome_of(budget, bounds), rounds.detectable_change(budget, len(rounds))
    seen = detectable_change if math.isfinite(detectable_change) else None
    if outcome != "inconclusive" and outcome_of(budget, alone) == "inconclusive":
        reason = f"{_in_spite(budget, outcome, rounds.middle(budget))}; {rounds.evidence(budget, 'undisturbed')}"
    elif alone.low > (-1.0 if budget.relative else 0.0) and math.isfinite(alone.high):
        reason = f"{reason_of(budget, outcome, bounds)}; {rounds.evidence(budget)}"
    else:  # too few for an interval that a reader would not take for what was measured
        sides = {"pass": "is surely within", "fail": "surely breaks", "inconclusive": "may be on either side of"}
        figures = f"{show(bounds.value, budget)} {sides[outcome]} {show(budget.limit, budget)}"
        reason = f"{figures}; {rounds.evidence(budget)}"
    reason += f"; a change of {seen:.1%} would have shown" if seen is not None else ""
    finite = math.isfinite(bounds.low) and math.isfinite(bounds.high)
    return Verdict(budget, outcome, bounds if finite else None, reason, seen, rounds.counted(budget))


def _in_spite(budget: Budget, outcome: Outcome, value: float) -> str:
    """What is sure only by what disturbed blocks show: they are slower than quiet ones, but not by any factor."""
    figure, limit = show(value, budget), show(budget.limit, budget)
    if budget.relative:
        side = "is within" if outcome == "pass" else "breaks"
        return f"{figure} {side} {limit} by more than any disturbance explains"
    if outcome == "pass":
        return f"{figure} is within {limit} even where it was disturbed, which makes nothing better"
    ratio = value / budget.limit if budget.is_upper else budget.limit / value
    return f"{figure} breaks {limit} {ratio:.3g} times over, more than any disturbance explains"
