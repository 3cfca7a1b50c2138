"""Outcome of a verdict or of several, and the exit code of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Outcome = Literal["pass", "fail", "inconclusive"]

EXIT_CODES: dict[Outcome, int] = {"pass": 0, "fail": 1, "inconclusive": 3}


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the worst outcome: one failure fails, otherwise one inconclusive outcome is inconclusive."""
    outcomes = set(outcomes)
    return "fail" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes else "pass"
