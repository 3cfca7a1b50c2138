"""The few lines that a reader looks for first: the selected candidate, its accuracy, budgets, bundle and a warning."""

from __future__ import annotations

from hwbench.formats.sections.headline import (
    accuracy_line,
    budgets_line,
    none_selected,
    origin,
    reference,
    selected_row,
    speed_line,
)
from hwbench.formats.sections.provenance import warnings
from hwbench.formats.sections.rows import Row, label
from hwbench.results.profile_results import ProfileResult


def summary(result: ProfileResult, table: tuple[Row, ...]) -> list[tuple[str, str]]:
    """List these lines as names and sentences; a line that has nothing to say is left out."""
    lines = [*_figures(result, table)]
    lines += [("Unsettled", result.unsettled.sentence)] if result.unsettled is not None else []
    lines += [("Bundle", str(result.bundle))] if result.bundle is not None else []
    remarks = (*warnings(result), *result.caveats)
    if remarks:
        more = f" ({len(remarks) - 1:,} more below)" if len(remarks) > 1 else ""
        lines.append(("Warning" if warnings(result) else "Caveat", remarks[0] + more))
    return [(name, text) for name, text in lines if text]


def _figures(result: ProfileResult, table: tuple[Row, ...]) -> list[tuple[str, str]]:
    row = selected_row(table)
    if row is None:
        return [("Selected", f"none. {none_selected(result)}")]
    name = row.candidate.status.capitalize()
    if row.candidate.report is None:
        return [(name, f"{label(row.candidate)} was not measured: {row.candidate.reason}".rstrip("."))]
    against = " against the source" if "accuracy_drop" in row.figures else ""
    accuracy = accuracy_line(row).removeprefix("accuracy ")
    return [
        (name, f"{label(row.candidate)}: {speed_line(row, reference(table))}"),
        ("Accuracy", ", ".join(part for part in (accuracy and f"{accuracy}{against}", origin(row)) if part)),
        ("Budgets", ", ".join(budgets_line(row.candidate.verdicts))),
    ]
