"""Judge a report against budgets: pass, fail, or inconclusive with the reason. Never a pass by default."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from hwbench.budgets.budget import Budget
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.quantities import QUANTITIES
from hwbench.measurements.report import NotMeasuredError
from hwbench.metrics import UNBOUNDED
from hwbench.stats.intervals import Estimate, reach_without_disagreement
from runtimes.errors import UsageError

Outcome = Literal["pass", "fail", "inconclusive"]

EXIT_CODES: dict[Outcome, int] = {"pass": 0, "fail": 1, "inconclusive": 3}


@dataclass(frozen=True)
class Verdict:
    """What one budget came to.

    Attributes:
        measured: the figure and its confidence interval, in the budget's unit; for a relative budget, the
            change against the baseline; None where there is no figure.
        reason: one sentence of evidence.
        detectable_change: the smallest relative change that the gate could have shown; None without a gate.
        counted: how many processes (against a baseline, rounds) counted; the figure is their median, or that of all
            where none did. None where it was no gate's.
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
        figures: the candidate's.
        budgets: limits on them.
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
    """The worst: one failure fails, else one inconclusive is inconclusive."""
    outcomes = {verdict.outcome for verdict in verdicts}
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
    """Say what would make an inconclusive verdict conclusive."""
    if accuracy is not None and budget.quantity.startswith("accuracy") and not budget.relative:
        return _samples_hint(budget, measured, accuracy.n)
    remedy = QUANTITIES[budget.quantity].remedy
    return f"; {remedy}" if remedy else ""


def outcome_of(budget: Budget, measured: Estimate) -> Outcome:
    """Pass where the whole interval is within the budget, fail where it is all beyond it, else inconclusive."""
    best, worst = (measured.low, measured.high) if budget.is_upper else (-measured.high, -measured.low)
    limit = budget.limit if budget.is_upper else -budget.limit
    return "pass" if worst <= limit else "fail" if best > limit else "inconclusive"


def _change(candidate: Estimate, baseline: Estimate) -> Estimate:
    """The relative change. Dividing opposite ends of the two intervals is conservative for any dependence.

    Raises:
        NotMeasuredError: an interval reaches zero or below, where there is no ratio to bound.
    """
    if baseline.low <= 0 or candidate.low < 0:
        raise NotMeasuredError("the interval reaches zero, so that there is no relative change; measure more samples")
    return Estimate(
        candidate.value / baseline.value - 1, candidate.low / baseline.high - 1, candidate.high / baseline.low - 1
    )


def reason_of(budget: Budget, outcome: Outcome, measured: Estimate) -> str:
    """Describe a verdict: the figure, its interval and the limit."""
    value, low, high = (show(figure, budget) for figure in (measured.value, measured.low, measured.high))
    interval = value if low == high else f"{value} ({low} to {high})"
    side = {"pass": "is within", "fail": "breaks", "inconclusive": "straddles"}[outcome]
    return f"{interval} {side} {show(budget.limit, budget)}"


def _samples_hint(budget: Budget, measured: Estimate, n: int) -> str:
    """How many samples would tell, if more are like these.

    An interval narrows with the square root of their number; Tango's, while no pair differs, with the number itself.
    """
    room = budget.limit - measured.value if budget.is_upper else measured.value - budget.limit
    reach = measured.high - measured.value if budget.is_upper else measured.value - measured.low
    if not 0 < room < reach <= 1e3 * room:  # nor is NaN
        return f"; {n:,} samples cannot tell, add some"
    agreeing = math.isclose(reach, reach_without_disagreement(n), rel_tol=1e-3)
    growth = reach / room if agreeing else (reach / room) ** 2
    return f"; {n:,} samples cannot tell, about {math.ceil(n * growth * 1.1 / 100) * 100:,} would"


def show(value: float, budget: Budget) -> str:
    """A figure of a budget's quantity, with its unit."""
    if budget.relative:
        return f"{value:+.1%}"
    return QUANTITIES[budget.quantity].written(value)


def check_directions(
    budgets: Sequence[Budget], metric: str, higher_is_better: bool, bounds: tuple[float, float] = UNBOUNDED
) -> None:
    """Refuse an upper limit on a metric of which more is better, a lower one where less is, and limits beyond what the
    metric can be: "accuracy>=97" no model meets, "accuracy_drop<=2" every one.

    Raises:
        UsageError: says what to write.
    """
    better, operator = ("more", ">=") if higher_is_better else ("less", "<=")
    for budget in budgets:
        if budget.quantity == "accuracy" and budget.is_upper == higher_is_better:
            limit = f"{100 * budget.limit:+g}%" if budget.relative else f"{budget.limit:g}"
            raise UsageError(
                f"Budget '{budget.text}': {better} is better of {metric}, so write accuracy{operator}{limit}."
            )
        if budget.quantity in ("accuracy", "accuracy_drop") and not budget.relative:
            _check_bounds(budget, metric, bounds)


def _check_bounds(budget: Budget, metric: str, bounds: tuple[float, float]) -> None:
    width = bounds[1] - bounds[0]
    lowest, highest = bounds if budget.quantity == "accuracy" else (-width, width)
    if not lowest <= budget.limit <= highest:
        meant = f"{budget.quantity}{'<=' if budget.is_upper else '>='}{budget.limit / 100:g}"
        remedy = f"write {meant}" if highest < budget.limit <= 100 * highest else "give a limit within that"
        raise UsageError(f"Budget '{budget.text}': {metric} goes from {bounds[0]:g} to {bounds[1]:g}; {remedy}.")
