"""In-toto statement of a gate's result on a bundle, with the predicate test-result."""

from __future__ import annotations

from typing import Any

import runtimes
from hwbench.formats._escape import line
from hwbench.formats.sections import budget_lines
from hwbench.results.profile_results import ProfileResult
from runtimes.verification.attestation import PASSED, PREDICATE_TYPE, STATEMENT_TYPE

_RESULTS = {"pass": PASSED, "fail": "FAILED", "inconclusive": "WARNED"}


def gate_statement(result: ProfileResult, file: str, sha256: str) -> dict[str, Any]:
    """Make the statement; an inconclusive gate is WARNED, which is no pass.

    Args:
        result: the gate's result.
        file: the bundle's name.
        sha256: the digest of its file.
    """
    judged = budget_lines.lines(result)
    tests = {
        f"{word}Tests": [line(each.budget) for each in judged if each.outcome == outcome]
        for word, outcome in (("passed", "pass"), ("warned", "inconclusive"), ("failed", "fail"))
    }
    budgets = [line(budget.text) for budget in result.budgets]
    settings = {"version": runtimes.__version__, "profile": line(result.profile), "budgets": budgets}
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": line(file), "digest": {"sha256": sha256}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": _RESULTS[result.outcome],
            "configuration": [{"name": "edgewright gate", "annotations": settings}],
            **tests,
        },
    }
