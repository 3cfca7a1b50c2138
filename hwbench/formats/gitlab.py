"""GitLab's code quality report: one issue per budget that is broken or undecided.

The form is that of GitLab's documentation, "Code Quality report format", a subset of Code Climate's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from hwbench.budgets.outcome import Outcome
from hwbench.formats._escape import line
from hwbench.formats.sections import budget_lines
from hwbench.results.profile_results import ProfileResult, Results

_SEVERITIES: dict[Outcome, str] = {"fail": "major", "inconclusive": "minor"}


def render(results: Results) -> str:
    """Write a JSON list, which is empty where all budgets are met."""
    issues = [issue for result in results.profiles for issue in _issues(result)]
    return json.dumps(issues, indent=1) + "\n"


def _issues(result: ProfileResult) -> Iterator[dict[str, object]]:
    where = line(f"{result.model} for {result.profile}")
    for judged in budget_lines.lines(result):
        if judged.outcome in _SEVERITIES:
            key = "\0".join(
                (result.model, result.profile, judged.budget, judged.outcome)
            )  # no figure, so that runs can be compared
            yield {
                "description": line(f"{where}: {judged.budget}: {judged.outcome}, {judged.evidence}"),
                "check_name": line(f"edgewright {judged.budget}"),
                "fingerprint": hashlib.sha256(key.encode("utf-8", "replace")).hexdigest(),
                "severity": _SEVERITIES[judged.outcome],
                "location": {"path": line(str(result.bundle or result.model)), "lines": {"begin": 1}},
            }
