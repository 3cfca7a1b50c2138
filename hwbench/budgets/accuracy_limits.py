"""Limits on accuracy that the metrics make meaningless, refused before anything is judged."""

from __future__ import annotations

from collections.abc import Sequence

from hwbench import metrics
from hwbench.budgets.budget import Budget
from hwbench.metrics import Scale
from runtimes.errors import UsageError


def check_directions(budgets: Sequence[Budget], scales: Sequence[Scale]) -> None:
    """Refuse accuracy budgets that the metrics make meaningless.

    An upper limit is refused on a metric where a higher value is better, and a lower limit where a lower value is; so
    is a limit beyond the metric's bounds, such as "accuracy>=97", which no model meets, or "accuracy_drop<=2", which
    every model meets.

    Args:
        budgets: budgets on any quantities.
        scales: those of the metrics that are scored, the first one first.

    Raises:
        UsageError: a budget is refused, or names no metric of these, or several; the message says how to write it.
    """
    names = [scale.name for scale in scales]
    for budget in budgets:
        if not budget.is_accuracy:
            continue
        index = metrics.find(names, budget.metric)
        if index is None:
            raise UsageError(
                f"Budget '{budget.text}': '{budget.metric}' does not tell which metric is meant; write "
                f"{' or '.join(f'{budget.quantity}[{name}]' for name in names)}."
            )
        _check_direction(budget, scales[index])


def _check_direction(budget: Budget, scale: Scale) -> None:
    better, operator = ("higher", ">=") if scale.higher_is_better else ("lower", "<=")
    if budget.quantity == "accuracy" and budget.is_upper == scale.higher_is_better:
        limit = f"{100 * budget.limit:+g}%" if budget.relative else f"{budget.limit:g}"
        raise UsageError(
            f"Budget '{budget.text}': a {better} {scale.name} is better, so write {budget.figure}{operator}{limit}."
        )
    if not budget.relative and not budget.of_source:
        _check_bounds(budget, scale.name, scale.bounds)


def _check_bounds(budget: Budget, metric: str, bounds: tuple[float, float]) -> None:
    width = bounds[1] - bounds[0]
    lowest, highest = bounds if budget.quantity == "accuracy" else (-width, width)
    if not lowest <= budget.limit <= highest:
        meant = f"{budget.figure}{'<=' if budget.is_upper else '>='}{budget.limit / 100:g}"
        remedy = f"write {meant}" if highest < budget.limit <= 100 * highest else "give a limit in that range"
        raise UsageError(f"Budget '{budget.text}': {metric} ranges from {bounds[0]:g} to {bounds[1]:g}; {remedy}.")
