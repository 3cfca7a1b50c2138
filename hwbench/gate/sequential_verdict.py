"""Verdict of a sequential gate on one budget, from the rounds measured so far."""

from __future__ import annotations

import math

import numpy as np

from hwbench.budgets.budget import Budget
from hwbench.budgets.family_error import FamilyError
from hwbench.budgets.outcome import Outcome
from hwbench.budgets.verdict_wording import reason_of, show
from hwbench.budgets.verdicts import Verdict, outcome_of
from hwbench.gate.rounds import Rounds
from hwbench.measurements.quantities import percent_of
from hwbench.measurements.report import NotMeasuredError
from hwbench.stats.confidence_sequences import ALPHA, blocks_needed
from hwbench.stats.intervals import Estimate, early_stopping

_TAIL = 99.0
"""The percentile from which a verdict shows early stopping, too."""

ONE_BUDGET = FamilyError(ALPHA)
"""The error of a gate that has one budget, and was not told another error."""


def judge_rounds(rounds: Rounds, budget: Budget, error: FamilyError = ONE_BUDGET) -> Verdict:
    """Judge a quantity of the machine by the rounds measured so far; this may be repeated after every round.

    Args:
        rounds: one or more.
        budget: the limit.
        error: the probabilities of a wrong verdict at the limit.
    """
    try:
        bounds = rounds.bounds(budget, error)
    except NotMeasuredError as missing:
        return Verdict(budget, "inconclusive", None, f"{missing}{_processes_needed(budget, error)}")
    undisturbed_bounds = bounds
    if rounds.counted(budget) < len(rounds):
        undisturbed_bounds = rounds.bounds(budget, error, undisturbed_only=True)
    outcome, change = outcome_of(budget, bounds), rounds.detectable_change(budget, len(rounds))
    if outcome != "inconclusive" and outcome_of(budget, undisturbed_bounds) == "inconclusive":
        reason = _despite_interference(budget, outcome, rounds.median(budget))
    elif undisturbed_bounds.low > (-1.0 if budget.relative else 0.0) and math.isfinite(undisturbed_bounds.high):
        reason = reason_of(budget, outcome, bounds, 1 - error.of_failing - error.of_passing)
    else:  # the undisturbed processes are too few for an interval, and bounds from disturbed ones would mislead
        reason = reason_of(budget, outcome, _point(bounds.value))
    reason += f"; {rounds.describe_undisturbed(budget)}"
    reason += _early_stopping(rounds, budget)
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


def _processes_needed(budget: Budget, error: FamilyError) -> str:
    """Say how many processes a verdict on a percentile takes; nothing of other quantities."""
    if percent_of(budget.quantity) is None:
        return ""
    return f" (a verdict takes {blocks_needed(error.of_passing)} processes); give a longer --duration"


def _early_stopping(rounds: Rounds, budget: Budget) -> str:
    """Bound a tail's percentile by MLPerf's early stopping, for those who know it; it takes samples as independent."""
    percent = percent_of(budget.quantity)
    if percent is None or percent < _TAIL or budget.relative:
        return ""
    samples_ms = np.concatenate([np.asarray(block.samples_ns) for block in rounds.candidate]) / 1e6
    try:
        bound_ms = early_stopping(samples_ms, percent / 100)
    except ValueError as few:
        return f"; {few}"
    return f"; MLPerf's early stopping over {len(samples_ms):,} samples: {show(bound_ms, budget)}"


def _point(value: float) -> Estimate:
    return Estimate(value, value, value)
