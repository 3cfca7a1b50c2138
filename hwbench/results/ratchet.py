"""Ratchet: limits that follow the improvements in a history, and never its regressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hwbench.budgets.budget import Budget, parse
from hwbench.measurements.quantities import QUANTITIES
from hwbench.results.history import Point

RUNS = 3
"""Runs in a row that have to show an improvement before a limit follows it."""
TOLERANCE = 0.05
"""Room between the best runs and the limit, since figures of a machine differ from run to run. A size has none."""


def tightened(
    budgets: Sequence[Budget], course: Callable[[str], Sequence[Point]]
) -> tuple[tuple[Budget, ...], tuple[str, ...]]:
    """Tighten limits to what a model has shown, with notes on those that moved.

    A limit is `TOLERANCE` beyond the worst interval's end of the best `RUNS` runs in a row that passed, if that is
    tighter than the user's. A further run can only add such a row, so a limit never moves back.

    Args:
        budgets: the user's; limits that compare, on accuracy, or at named sizes stay as they are.
        course: returns the points of a quantity of the model on this device, oldest first.
    """
    moved, notes = [], []
    for budget in budgets:
        limit = None if _stays(budget) else _limit(budget, course(budget.quantity))
        if limit is not None and (limit < budget.limit if budget.is_upper else limit > budget.limit):
            moved.append(_at(budget, limit))
            notes.append(
                f"The ratchet made {budget.text} {moved[-1].text}, after the best {RUNS} runs in a row of the history."
            )
        else:
            moved.append(budget)
    return tuple(moved), tuple(notes)


def _stays(budget: Budget) -> bool:
    return budget.relative or budget.is_accuracy or bool(budget.at)


def _limit(budget: Budget, points: Sequence[Point]) -> float | None:
    """Compute the limit that a course asks for; None if no `RUNS` runs in a row passed."""
    rows = [points[start : start + RUNS] for start in range(len(points) - RUNS + 1)]
    passed = [row for row in rows if all(point.outcome == "pass" for point in row)]
    tolerance = TOLERANCE if QUANTITIES[budget.quantity].of_machine else 0.0
    if not passed:
        return None
    if budget.is_upper:
        return (1 + tolerance) * min(max(point.high for point in row) for row in passed)
    return (1 - tolerance) * max(min(point.low for point in row) for row in passed)


def _at(budget: Budget, limit: float) -> Budget:
    """Write a budget with another limit."""
    quantity = QUANTITIES[budget.quantity]
    unit = next(name for name, factor in quantity.units.items() if factor == 1.0)
    operator = "<=" if budget.is_upper else ">="
    return parse(f"{budget.quantity}{operator}{max(limit, 1e-6):.6f}".rstrip("0").rstrip(".") + unit)
