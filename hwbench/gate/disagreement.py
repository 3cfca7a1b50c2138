"""Disagreement of instructions and time: which of the two a gate found changed, and what that may mean."""

from __future__ import annotations

from collections.abc import Sequence

from hwbench.budgets.verdicts import Verdict
from hwbench.measurements.quantities import PERCENTILES


def of_instructions_and_time(verdicts: Sequence[Verdict], by: str) -> tuple[str, ...]:
    """Tell that instructions and time changed differently, where one passed and the other failed.

    Args:
        verdicts: those of a gate.
        by: the means by which the instructions were counted.
    """
    timed = {f"p{percent:g}" for percent in PERCENTILES}
    of_work = next((one for one in verdicts if one.budget.quantity == "instructions" and one.budget.relative), None)
    of_time = next((one for one in verdicts if one.budget.quantity in timed and one.budget.relative), None)
    if of_work is None or of_time is None or of_work.measured is None or of_time.measured is None:
        return ()
    if {of_work.outcome, of_time.outcome} != {"pass", "fail"}:
        return ()
    work, time = (f"{one.budget.figure} {one.measured.value:+.2%}" for one in (of_work, of_time) if one.measured)
    if of_time.outcome == "fail":
        why = "The same instructions take longer, by caches, memory or threads, or other kernels run than were counted"
    else:
        why = "The processor hides the additional instructions, or other kernels run than were counted"
    counted = f" (under {by}, whose processor has no AVX-512)" if by.startswith("valgrind") else ""
    return (f"Instructions and time disagree: {work}, {time}. {why}{counted}.",)
