"""Verdict on each budget: the selected candidate's, or a line per outcome of all candidates where none was selected."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hwbench.budgets.budget import Budget
from hwbench.budgets.outcome import Outcome
from hwbench.budgets.verdicts import Verdict
from hwbench.formats.sections.headline import verdicts
from hwbench.formats.sections.rows import label
from hwbench.results.profile_results import CandidateResult, ProfileResult
from hwbench.wording import count

_OUTCOMES: tuple[Outcome, ...] = ("pass", "inconclusive", "fail")


@dataclass(frozen=True)
class Line:
    """One line of a table of budgets.

    Attributes:
        budget: the user's text, marked if it is the default.
        evidence: the reason; for several candidates, the reason of the one nearest to the limit.
    """

    budget: str
    outcome: Outcome
    evidence: str


def lines(result: ProfileResult) -> tuple[Line, ...]:
    """List one line per budget of the selected candidate; without such a candidate, one per budget and outcome."""
    if result.selected is not None:
        return tuple(Line(_written(v.budget), v.outcome, _reason(result, v)) for _, v in verdicts(result))
    return tuple(line for budget in result.budgets for line in _grouped(result, budget))


def _grouped(result: ProfileResult, budget: Budget) -> Iterator[Line]:
    found = [(candidate, verdict) for candidate, verdict in verdicts(result) if verdict.budget == budget]
    for outcome in _OUTCOMES:
        same = [(candidate, verdict) for candidate, verdict in found if verdict.outcome == outcome]
        if same:
            yield Line(_written(budget), outcome, _evidence(result, same, len(found)))


def _evidence(result: ProfileResult, found: Sequence[tuple[CandidateResult, Verdict]], of: int) -> str:
    candidate, nearest = min(found, key=lambda pair: _distance(pair[1]))
    if len(found) == 1:
        return f"{label(candidate)}: {_reason(result, nearest)}"
    who = f"{'all ' if len(found) == of else ''}{count(len(found), 'candidate')}"
    reasons = dict.fromkeys(_reason(result, verdict) for _, verdict in found)
    if len(reasons) == 1 or nearest.measured is None:
        return f"{who}: {'; '.join(reasons)}"
    return f"{who}, the nearest {label(candidate)}: {_reason(result, nearest)}"


def _reason(result: ProfileResult, verdict: Verdict) -> str:
    """Write a verdict's reason, or a reference to the caveat that gives it already."""
    given = verdict.measured is None and any(verdict.reason in caveat for caveat in result.caveats)
    return "see the caveats" if given else verdict.reason


def _distance(verdict: Verdict) -> float:
    return abs(verdict.measured.value - verdict.budget.limit) if verdict.measured is not None else math.inf


def _written(budget: Budget) -> str:
    return f"{budget.text} (default)" if budget.is_default else budget.text
