"""Annotations for a GitHub Actions log: one workflow command per verdict.

The form is that of GitHub's documentation, "Workflow commands for GitHub Actions": `::error title=...::message`, with
%, line breaks, and in the title also colons and commas, percent-encoded.
"""

from __future__ import annotations

from collections.abc import Iterable

from hwbench.budgets.outcome import Outcome
from hwbench.formats._escape import github, github_title
from hwbench.formats.sections import budget_lines, rows
from hwbench.formats.sections.headline import headline, outcome
from hwbench.formats.sections.provenance import machines, warnings
from hwbench.formats.sections.rows import label
from hwbench.results.profile_results import ProfileResult, Results

_COMMANDS: dict[Outcome, str] = {"fail": "error", "inconclusive": "warning", "pass": "notice"}


def render(results: Results) -> str:
    """Write one line per verdict; without a verdict, one line on the measured figures."""
    lines = [line for result in results.profiles for line in _lines(result)]
    return "\n".join(lines or [_command("warning", "edgewright", "There are no results.")]) + "\n"


def _lines(result: ProfileResult) -> Iterable[str]:
    judged = budget_lines.lines(result)
    where = f"{result.model} for {result.profile}"
    who = f"{where}, {label(result.selected)}" if result.selected is not None else where
    for line in judged:
        message = f"{who}: {line.evidence}. Measured on {'; '.join(machines(result))}"
        yield _command(_COMMANDS[line.outcome], f"{line.budget}: {line.outcome}", message)
    if not judged:
        kind = "notice" if outcome(result) == "measured" else _COMMANDS[result.outcome]
        yield _command(kind, where, headline(result, rows.rows(result)))
    for warning in (*warnings(result), *result.caveats):
        yield _command("warning", where, warning)


def _command(kind: str, title: str, message: str) -> str:
    return f"::{kind} title={github_title(title)}::{github(message)}"
