"""Budgets on energy that no meter of this machine can judge, found before anything is measured."""

from __future__ import annotations

from collections.abc import Sequence

from hwbench.budgets.budget import Budget
from hwbench.machine.identity import Machine, this_machine
from runtimes.sampling.energy import Energy


def unmetered_budgets(budgets: Sequence[Budget], machine: Machine) -> tuple[str, ...]:
    """Describe the budgets that no meter of this machine can judge, whatever runtime the model uses.

    Args:
        budgets: the limits.
        machine: the machine that measures.

    Returns:
        One sentence per budget; none about another machine than this one.
    """
    limits = [budget for budget in budgets if budget.quantity == "energy"]
    if not limits:
        return ()
    if machine.differences(this_machine()):  # its meters show while it measures
        return ()
    missing = [Energy(on_gpu=on_gpu).missing for on_gpu in ((False, True) if machine.gpus else (False,))]
    if any(reason is None for reason in missing):
        return ()
    return tuple(f"Budget {limit.text} cannot be judged on this machine: {missing[-1]}." for limit in limits)
