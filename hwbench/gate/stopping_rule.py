"""Stopping rule of a sequential gate: rounds go on until each budget is decided, cannot be, or the time is up."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence

from hwbench.budgets.budget import Budget
from hwbench.budgets.family_error import FamilyError
from hwbench.budgets.verdicts import Verdict
from hwbench.gate.rounds import Rounds
from hwbench.gate.sequential_verdict import judge_rounds
from hwbench.stats.confidence_sequences import ALPHA

_PILOT = 20
"""Number of rounds after which a budget that this machine cannot resolve is refused."""
_HOPELESS = 2.0
"""Ratio of the detectable change to the limit above which `_PILOT` rounds refuse a budget: their estimate is rough."""


def decide(
    take: Callable[[], Rounds],
    budgets: Sequence[Budget],
    max_time_s: float,
    clock: Callable[[], float] = time.monotonic,
    least: int = 1,
    error: FamilyError | None = None,
) -> tuple[dict[str, Verdict], Rounds]:
    """Measure rounds until every budget is decided, cannot be, or the time is up.

    Args:
        take: measures one more round and returns all so far.
        budgets: limits on quantities of the machine.
        max_time_s: a round that would probably end later is not begun.
        clock: returns the time in seconds.
        least: number of rounds to measure even if the budgets are decided earlier.
        error: the probabilities of a wrong verdict; None for `ALPHA`, which these budgets share.

    Returns:
        A verdict per budget, by its text, and the rounds. A verdict stays as it was when it became certain.
    """
    start, decided, rounds = clock(), dict[str, Verdict](), Rounds(())
    error = error or FamilyError(ALPHA, max(len(budgets), 1))
    while True:
        rounds = take()
        passed = clock() - start
        each_s = passed / len(rounds)
        verdicts = {b.text: judge_rounds(rounds, b, error) for b in budgets if b.text not in decided}
        decided |= {
            text: verdict
            for text, verdict in verdicts.items()
            if verdict.outcome != "inconclusive" or not rounds.can_measure(verdict.budget)
        }
        if len(rounds) >= _PILOT:
            possible = max(int(max_time_s / each_s), len(rounds))
            open_yet = [verdict for text, verdict in verdicts.items() if text not in decided]
            decided |= _refused(rounds, open_yet, possible, max_time_s)
        if (len(decided) == len(budgets) and len(rounds) >= least) or passed + each_s > max_time_s:
            return decided | {text: verdict for text, verdict in verdicts.items() if text not in decided}, rounds


def _refused(rounds: Rounds, undecided: Sequence[Verdict], possible: int, max_time_s: float) -> dict[str, Verdict]:
    """List verdicts on changes smaller than any that the machine can show by the time limit."""
    refused = {}
    for verdict in undecided:
        budget = verdict.budget
        if not budget.relative or verdict.measured is None:
            continue
        detectable_change = rounds.detectable_change(budget, possible)
        if _HOPELESS * abs(budget.limit) < detectable_change < math.inf:
            reason = (
                f"the smallest change that this machine can show in {max_time_s:.3g} s is {detectable_change:.1%}; "
                f"widen the budget, or give more time with --max-time; {rounds.describe_undisturbed(budget)}"
            )
            refused[budget.text] = dataclasses.replace(verdict, reason=reason, detectable_change=detectable_change)
    return refused
