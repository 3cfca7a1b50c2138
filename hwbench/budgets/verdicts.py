"""Verdicts on budgets: pass, fail, or inconclusive with the reason. No verdict is a pass by default."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hwbench.budgets import BUILD_CONFIDENCE
from hwbench.budgets.accuracy_limits import check_directions
from hwbench.budgets.budget import Budget
from hwbench.budgets.family_error import FamilyError
from hwbench.budgets.outcome import Outcome, worst
from hwbench.budgets.samples_needed import SamplesNeeded, samples_needed
from hwbench.budgets.verdict_wording import probability_text, reason_of
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.quantities import QUANTITIES, of_metric
from hwbench.measurements.report import NotMeasuredError
from hwbench.stats.intervals import Estimate
from hwbench.wording import count
from runtimes.errors import UsageError


@dataclass(frozen=True)
class Verdict:
    """The verdict on one budget.

    Attributes:
        measured: the figure and its confidence interval, in the budget's unit; for a relative budget, the change
            against the baseline; None if there is no figure.
        reason: the evidence, in one sentence.
        detectable_change: the smallest relative change that the gate could have shown; None without a gate.
        counted: number of processes that counted, or of rounds if there is a baseline. The figure is their median, or
            the median of all if none counted. None without a gate.
        probability: the confidence that a budget on accuracy holds; where it is broken, 1 less the confidence of that.
            None for other quantities, and without a figure.
        needed: the samples that would decide, if the verdict is inconclusive.
    """

    budget: Budget
    outcome: Outcome
    measured: Estimate | None
    reason: str
    detectable_change: float | None = None
    counted: int | None = None
    probability: float | None = None
    needed: SamplesNeeded = field(default_factory=SamplesNeeded)


class Estimates(Protocol):
    """Figures by quantity, as a report has them."""

    @property
    def accuracy(self) -> Accuracy | None:
        """The measured accuracy, whose direction and bounds an accuracy budget has to fit; None without one."""

    def estimate(self, quantity: str) -> Estimate:
        """Estimate a quantity, in the unit of its limits.

        Raises:
            NotMeasuredError: the quantity has no figure; the message is the reason.
        """


def judge(
    figures: Estimates,
    budgets: Sequence[Budget],
    baseline: Estimates | None = None,
    confidence: float = BUILD_CONFIDENCE,
    error: FamilyError | None = None,
) -> tuple[Verdict, ...]:
    """Judge figures by budgets: each passes if the whole confidence interval is within the limit, fails if the whole
    interval is beyond it, and is inconclusive otherwise.

    A budget on accuracy passes, or fails, if a one-sided test has this confidence in it.

    Args:
        figures: the candidate's figures.
        budgets: limits on these figures.
        baseline: figures that relative budgets compare with, measured under the same conditions; see
            `baseline.judge_report`.
        confidence: the confidence that a verdict on accuracy takes, from 0.5 to 1.
        error: the probabilities of a wrong verdict on accuracy; None for 1 less the confidence, on both sides.

    Raises:
        UsageError: a relative budget has no baseline, or an accuracy budget limits the wrong side of the metric, is
            beyond its bounds, or names a metric that was not scored.
    """
    if figures.accuracy is not None:
        check_directions(budgets, [accuracy.scale for accuracy in figures.accuracy.each])
    error = error or FamilyError(1 - confidence)
    return tuple(_judge_one(figures, budget, baseline, error) for budget in budgets)


def overall(verdicts: Sequence[Verdict]) -> Outcome:
    """Return the worst outcome of some verdicts."""
    return worst(verdict.outcome for verdict in verdicts)


def _judge_one(figures: Estimates, budget: Budget, baseline: Estimates | None, error: FamilyError) -> Verdict:
    accuracy = _accuracy_of(budget, figures)
    try:
        measured = figures.estimate(budget.figure)
        if budget.relative:
            if baseline is None:
                raise UsageError(f"Budget '{budget.text}' compares with a baseline; give one with --baseline.")
            if accuracy is not None and accuracy.against == "baseline":
                measured = _paired_change(figures.estimate(of_metric("accuracy_drop", budget.metric)), accuracy)
            else:
                measured = _change(measured, baseline.estimate(budget.figure))
        if budget.of_source:
            measured = _share_of_reference(measured, accuracy)
    except NotMeasuredError as missing:
        return Verdict(budget, "inconclusive", None, str(missing))
    if accuracy is not None and not (budget.relative and accuracy.against == "source"):
        return _judge_accuracy(budget, accuracy, measured, error)
    outcome = outcome_of(budget, measured)
    remedy = QUANTITIES[budget.quantity].remedy if outcome == "inconclusive" else ""
    return Verdict(budget, outcome, measured, reason_of(budget, outcome, measured) + (f"; {remedy}" if remedy else ""))


def _judge_accuracy(budget: Budget, accuracy: Accuracy, measured: Estimate, error: FamilyError) -> Verdict:
    """Judge a metric's value, its drop, or its change against a baseline, by the one-sided test of its samples."""
    is_value = budget.quantity == "accuracy" and not budget.relative
    inference = accuracy.inference() if is_value else accuracy.drop_inference()
    assert inference is not None  # or the drop would have no estimate
    asked = 1 - error.of_passing
    sign = 1 if budget.is_upper else -1
    unit = abs(_reference_value(accuracy)) if budget.of_source or budget.relative else 1.0
    limit = budget.limit * unit
    holds, breaks = inference.at_most, inference.at_least
    if budget.relative:  # a metric that may fall by 1% may drop by so much
        limit *= sign
    elif not budget.is_upper:
        holds, breaks = breaks, holds
    probability, room = holds(limit), sign * (budget.limit - measured.value)
    outcome: Outcome = "pass" if probability >= asked else "inconclusive"
    if room < 0 and (broken := breaks(limit)) >= 1 - error.of_failing:
        outcome, probability = "fail", 1 - broken
    claimed: Outcome = "fail" if outcome == "fail" else "pass"
    sure = 1 - probability if outcome == "fail" else probability
    reason = reason_of(budget, claimed, measured, against=accuracy.against) + _unit(budget, accuracy)
    is_exact = accuracy.is_source and budget.quantity == "accuracy_drop"
    reason += ": it is the source" if is_exact else f" with probability {probability_text(sure)}"
    reason += f", computed by {accuracy.computed_by}" if accuracy.computed_by else ""
    if outcome != "inconclusive":
        return Verdict(budget, outcome, measured, reason, probability=probability)
    needed = samples_needed(accuracy, inference, room * unit, limit, asked)
    more = needed.sentence or f"{count(accuracy.n, 'sample')} cannot decide"
    reason += f", and {asked:.6g} is asked; {more}"
    return Verdict(budget, outcome, measured, reason, probability=probability, needed=needed)


def _accuracy_of(budget: Budget, figures: Estimates) -> Accuracy | None:
    """Return the value of the metric that an accuracy budget limits; None for other budgets."""
    is_accuracy = budget.is_accuracy and figures.accuracy is not None
    return figures.accuracy.of(budget.metric) if is_accuracy and figures.accuracy else None


def _unit(budget: Budget, accuracy: Accuracy | None) -> str:
    """Say what the figures of an accuracy budget are in, unless they are shares."""
    if accuracy is None or budget.relative:
        return ""
    if budget.of_source:
        return f" of the {accuracy.against}'s {accuracy.metric}, {_reference_value(accuracy):.4g},"
    return "" if accuracy.is_share else f", in units of {accuracy.metric},"


def _share_of_reference(drop: Estimate, accuracy: Accuracy | None) -> Estimate:
    """Express a drop as a share of the reference's value on these samples, which is taken as exact.

    Raises:
        NotMeasuredError: that value is zero.
    """
    value = abs(_reference_value(accuracy)) if accuracy is not None else 0.0
    if value == 0:
        who = accuracy.against if accuracy is not None else "source"
        raise NotMeasuredError(f"the {who}'s value is 0, and nothing is a share of it; write the limit without %")
    return Estimate(drop.value / value, drop.low / value, drop.high / value)


def _paired_change(drop: Estimate, accuracy: Accuracy) -> Estimate:
    """Express a drop against a baseline as a relative change of the metric."""
    share = _share_of_reference(drop, accuracy)
    return Estimate(-share.value, -share.high, -share.low) if accuracy.higher_is_better else share


def _reference_value(accuracy: Accuracy) -> float:
    return accuracy.reference.value if accuracy.reference is not None else accuracy.value


def outcome_of(budget: Budget, measured: Estimate) -> Outcome:
    """Compare an interval with a limit: pass within it, fail beyond it, inconclusive across it."""
    best, worst = (measured.low, measured.high) if budget.is_upper else (-measured.high, -measured.low)
    limit = budget.limit if budget.is_upper else -budget.limit
    return "pass" if worst <= limit else "fail" if best > limit else "inconclusive"


def _change(candidate: Estimate, baseline: Estimate) -> Estimate:
    """Estimate the relative change. Opposite ends of the two intervals are divided, which is conservative for any
    dependence.

    Raises:
        NotMeasuredError: an interval reaches zero or below, where a ratio has no bounds.
    """
    if baseline.low <= 0 or candidate.low < 0:
        raise NotMeasuredError("the interval reaches zero, so there is no relative change; measure more samples")
    return Estimate(
        candidate.value / baseline.value - 1, candidate.low / baseline.high - 1, candidate.high / baseline.low - 1
    )
