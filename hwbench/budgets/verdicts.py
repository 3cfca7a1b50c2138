"""Verdicts on budgets: pass, fail, or inconclusive with the reason. No verdict is a pass by default."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from hwbench.budgets.budget import Budget
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.quantities import QUANTITIES
from hwbench.measurements.report import NotMeasuredError
from hwbench.metrics import UNBOUNDED
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
        UsageError: a relative budget has no baseline, or an accuracy budget limits the wrong side of the metric or is
            beyond its bounds.
    """
    if (accuracy := figures.accuracy) is not None:
        check_directions(budgets, accuracy.metric, accuracy.higher_is_better, accuracy.bounds)
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
        measured = figures.estimate(budget.quantity)
        if budget.relative:
            if baseline is None:
                raise UsageError(f"Budget '{budget.text}' compares with a baseline; give one with --baseline.")
            measured = _change(measured, baseline.estimate(budget.quantity))
    except NotMeasuredError as missing:
        return Verdict(budget, "inconclusive", None, str(missing))
    outcome = outcome_of(budget, measured)
    reason = reason_of(budget, outcome, measured)
    if outcome == "inconclusive":
        reason += _hint(budget, measured, figures.accuracy)
    return Verdict(budget, outcome, measured, reason)


def _hint(budget: Budget, measured: Estimate, accuracy: Accuracy | None) -> str:
    """Name the remedy that would make an inconclusive verdict conclusive."""
    if accuracy is not None and budget.quantity.startswith("accuracy") and not budget.relative:
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
    return f"{budget.quantity} change of" if budget.relative else budget.quantity


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
    return QUANTITIES[budget.quantity].written(value)


def check_directions(
    budgets: Sequence[Budget], metric: str, higher_is_better: bool, bounds: tuple[float, float] = UNBOUNDED
) -> None:
    """Refuse accuracy budgets that the metric makes meaningless.

    An upper limit is refused on a metric where a higher value is better, and a lower limit where a lower value is; so
    is a limit beyond the metric's bounds, such as "accuracy>=97", which no model meets, or "accuracy_drop<=2", which
    every model meets.

    Raises:
        UsageError: a budget is refused; the message says how to write it.
    """
    better, operator = ("higher", ">=") if higher_is_better else ("lower", "<=")
    for budget in budgets:
        if budget.quantity == "accuracy" and budget.is_upper == higher_is_better:
            limit = f"{100 * budget.limit:+g}%" if budget.relative else f"{budget.limit:g}"
            raise UsageError(
                f"Budget '{budget.text}': a {better} {metric} is better, so write accuracy{operator}{limit}."
            )
        if budget.quantity in ("accuracy", "accuracy_drop") and not budget.relative:
            _check_bounds(budget, metric, bounds)


def _check_bounds(budget: Budget, metric: str, bounds: tuple[float, float]) -> None:
    width = bounds[1] - bounds[0]
    lowest, highest = bounds if budget.quantity == "accuracy" else (-width, width)
    if not lowest <= budget.limit <= highest:
        meant = f"{budget.quantity}{'<=' if budget.is_upper else '>='}{budget.limit / 100:g}"
        remedy = f"write {meant}" if highest < budget.limit <= 100 * highest else "give a limit in that range"
        raise UsageError(f"Budget '{budget.text}': {metric} ranges from {bounds[0]:g} to {bounds[1]:g}; {remedy}.")
