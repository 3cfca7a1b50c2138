"""Whether a budget on energy can be judged on this machine, which is known before anything is measured."""

from __future__ import annotations

from collections.abc import Sequence

from hwbench.budgets.budget import Budget
from hwbench.machine.identity import Machine
from runtimes.sampling.energy import Energy


def unjudged(budgets: Sequence[Budget], machine: Machine) -> tuple[str, ...]:
    """A sentence per budget that no meter of the machine we are on can judge, whatever the model runs on."""
    limits = [budget for budget in budgets if budget.quantity == "energy"]
    if not limits:
        return ()
    missing = [Energy(on_gpu=on_gpu).missing for on_gpu in ((False, True) if machine.gpus else (False,))]
    if any(reason is None for reason in missing):
        return ()
    return tuple(f"Budget {limit.text} cannot be judged on this machine: {missing[-1]}." for limit in limits)
