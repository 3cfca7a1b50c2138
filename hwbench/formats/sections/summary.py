"""The few lines that a reader looks for first: the selected candidate, its accuracy, budgets, bundle and a warning."""

from __future__ import annotations

from hwbench.formats.sections.headline import (
    accuracy_line,
    budgets_line,
    chosen_row,
    none_chosen,
    reference,
    speed_line,
)
from hwbench.formats.sections.provenance import warnings
from hwbench.formats.sections.rows import Row, label
from hwbench.results.profile_results import ProfileResult


def summary(field: ProfileResult, table: tuple[Row, ...]) -> list[tuple[str, str]]:
    """List them as names and sentences; a line that has nothing to say is left out."""
    lines = [*_figures(field, table)]
    lines += [("Bundle", str(field.bundle))] if field.bundle is not None else []
    doubts = (*warnings(field), *field.caveats)
    if doubts:
        more = f" ({len(doubts) - 1:,} more below)" if len(doubts) > 1 else ""
        lines.append(("Warning", doubts[0] + more))
    return [(name, text) for name, text in lines if text]


def _figures(field: ProfileResult, table: tuple[Row, ...]) -> list[tuple[str, str]]:
    row = chosen_row(table)
    if row is None:
        return [("Selected", f"none. {none_chosen(field)}")]
    name = row.entry.status.capitalize()
    if row.entry.report is None:
        return [(name, f"{label(row.entry)} was not measured: {row.entry.reason}".rstrip("."))]
    against = " against the source" if "accuracy_drop" in row.figures else ""
    accuracy = accuracy_line(row).removeprefix("accuracy ")
    return [
        (name, f"{label(row.entry)}: {speed_line(row, reference(table))}"),
        ("Accuracy", accuracy and f"{accuracy}{against}"),
        ("Budgets", ", ".join(budgets_line(row.entry.verdicts))),
    ]
