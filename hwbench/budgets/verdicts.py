"""Verdicts on budgets: pass, fail, or inconclusive with the reason. No verdict is a pass by default."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from hwbench.budgets.accuracy_limits import check_directions
from hwbench.budgets.budget import Budget
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.quantities import QUANTITIES
from hwbench.measurements.report import NotMeasuredError
from hwbench.stats.intervals import CONFIDENCE, Estimate, reach_without_disagreement
from runtimes.errors import UsageError

Outcome = Literal["pass", "fail", "inconclusive"]

EXIT_CODES: dict[Outcome, int] = {"pass": 0, "fail": 1, "inconclusive": 3}


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
    """

    budget: Budget
    outcome: Outcome
    measured: Estimate | None
    reason: str
    detectable_change: float | None = None
    counted: int | None = None


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


def judge(figures: Estimates, budgets: Sequence[Budget], baseline: Estimates | None = None) -> tuple[Verdict, ...]:
    """Judge figures by budgets: each passes if the whole confidence interval is within the limit, fails if the whole
    interval is beyond it, and is inconclusive otherwise.

    Args:
        figures: the candidate's figures.
        budgets: limits on these figures.
        baseline: figures that relative budgets compare with, measured under the same conditions; see
            `baseline.judge_report`.

    Raises:
        UsageError: a relative budget has no baseline, or an accuracy budget limits the wrong side of the metric, is
            beyond its bounds, or names a metric that was not scored.
    """
    if figures.accuracy is not None:
        check_directions(budgets, [accuracy.scale for accuracy in figures.accuracy.each])
    return tuple(_judge_one(figures, budget, baseline) for budget in budgets)


def overall(verdicts: Sequence[Verdict]) -> Outcome:
    """Return the worst outcome of some verdicts."""
    return worst(verdict.outcome for verdict in verdicts)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the worst outcome: one failure fails, otherwise one inconclusive outcome is inconclusive."""
    outcomes = set(outcomes)
    return "fail" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes else "pass"


def _judge_one(figures: Estimates, budget: Budget, baseline: Estimates | None) -> Verdict:
    try:
        measured = figures.estimate(budget.figure)
        if budget.relative:
            if baseline is None:
                raise UsageError(f"Budget '{budget.text}' compares with a baseline; give one with --baseline.")
            measured = _change(measured, baseline.estimate(budget.figure))
        if budget.of_source:
            measured = _share_of_source(measured, _accuracy_of(budget, figures))
    except NotMeasuredError as missing:
        return Verdict(budget, "inconclusive", None, str(missing))
    outcome = outcome_of(budget, measured)
    accuracy = _accuracy_of(budget, figures)
    reason = reason_of(budget, outcome, measured) + _unit(budget, accuracy)
    if outcome == "inconclusive":
        reason += _hint(budget, measured, accuracy)
    return Verdict(budget, outcome, measured, reason)


def _accuracy_of(budget: Budget, figures: Estimates) -> Accuracy | None:
    """Return the value of the metric that an accuracy budget limits; None for other budgets."""
    is_accuracy = budget.quantity.startswith("accuracy") and figures.accuracy is not None
    return figures.accuracy.of(budget.metric) if is_accuracy and figures.accuracy else None


def _unit(budget: Budget, accuracy: Accuracy | None) -> str:
    """Say what the figures of an accuracy budget are in, unless they are shares."""
    if accuracy is None or budget.relative:
        return ""
    if budget.of_source:
        return f" of the source's {accuracy.metric}, {_source_value(accuracy):.4g}"
    return "" if accuracy.is_share else f", in units of {accuracy.metric}"


def _share_of_source(drop: Estimate, accuracy: Accuracy | None) -> Estimate:
    """Express a drop as a share of the source's value on these samples, which is taken as exact.

    Raises:
        NotMeasuredError: that value is zero.
    """
    value = abs(_source_value(accuracy)) if accuracy is not None else 0.0
    if value == 0:
        raise NotMeasuredError("the source's value is 0, and nothing is a share of it; write the limit without %")
    return Estimate(drop.value / value, drop.low / value, drop.high / value)


def _source_value(accuracy: Accuracy) -> float:
    return accuracy.reference.value if accuracy.reference is not None else accuracy.value


def _hint(budget: Budget, measured: Estimate, accuracy: Accuracy | None) -> str:
    """Name the remedy that would make an inconclusive verdict conclusive."""
    if accuracy is not None and not budget.relative:
        return _samples_hint(budget, measured, accuracy.n)
    remedy = QUANTITIES[budget.quantity].remedy
    return f"; {remedy}" if remedy else ""


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


def reason_of(budget: Budget, outcome: Outcome, measured: Estimate, confidence: float = CONFIDENCE) -> str:
    """Describe a verdict: the figure, its interval and the limit.

    Args:
        budget: the limit.
        outcome: the outcome of the verdict.
        measured: the figure and its interval.
        confidence: the probability that the interval holds the true value.
    """
    value, low, high = (show(figure, budget) for figure in (measured.value, measured.low, measured.high))
    interval = "" if low == high else f" ({low} to {high}, {confidence:.0%} confidence)"
    return f"{subject(budget)} {value}{interval} {relation(budget, outcome)} {show(budget.limit, budget)}"


def subject(budget: Budget) -> str:
    """Return the subject of a sentence about a budget's figure: "p90", or "p90 change of" for a relative one."""
    return f"{budget.figure} change of" if budget.relative else budget.figure


def relation(budget: Budget, outcome: Outcome) -> str:
    """Return the verb between a budget's figure and its limit."""
    if outcome == "inconclusive":
        return "may be on either side of"
    upper = {"pass": "is within", "fail": "exceeds"}
    return upper[outcome] if budget.is_upper else {"pass": "is at least", "fail": "is below"}[outcome]


def _samples_hint(budget: Budget, measured: Estimate, n: int) -> str:
    """Estimate how many samples like these would be conclusive.

    An interval narrows with the square root of the number of samples; Tango's interval narrows with the number itself
    as long as no pair differs.
    """
    room = budget.limit - measured.value if budget.is_upper else measured.value - budget.limit
    reach = measured.high - measured.value if budget.is_upper else measured.value - measured.low
    if not 0 < room < reach <= 1e3 * room:  # NaN fails these comparisons, too
        return f"; {n:,} samples are too few to decide; add some"
    agreeing = math.isclose(reach, reach_without_disagreement(n), rel_tol=1e-3)
    growth = reach / room if agreeing else (reach / room) ** 2
    return f"; {n:,} samples are too few to decide; about {math.ceil(n * growth * 1.1 / 100) * 100:,} would suffice"


def show(value: float, budget: Budget) -> str:
    """Format a figure of a budget's quantity, with its unit."""
    if budget.relative:
        return f"{value:+.1%}"
    if budget.of_source:
        return f"{value:.2%}"
    return QUANTITIES[budget.quantity].written(value)
