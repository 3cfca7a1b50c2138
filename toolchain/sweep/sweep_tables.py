"""Tables of a sweep's report: models against devices, then each cell with its figures."""

from __future__ import annotations

from dataclasses import dataclass

from hwbench.formats._escape import markdown
from hwbench.formats.sections.rows import show
from hwbench.measurements.quantities import quantity_of
from hwbench.terminal_table import printed
from toolchain.sweep.sweep_report import SweepReport, SweepRow, best

_FIGURES = ("p50", "p90", "accuracy", "accuracy_drop", "size")


@dataclass(frozen=True)
class Table:
    """A table of texts, and the sentence below it."""

    title: str
    heads: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def tables(report: SweepReport) -> tuple[Table, ...]:
    """Make the tables: the best precision of each model on each device; every cell; and what lacks figures, and why."""
    found = (_by_device(report), _cells(report), _notes(report))
    return tuple(table for table in found if table.lines)


def text(report: SweepReport, width: int | None = None) -> str:
    """Write the tables for a terminal, or for a log of a width in columns."""
    parts = [f"{table.title}\n{printed(table.heads, table.lines, width)}" for table in tables(report)]
    return "\n\n".join([*parts, f"All models and devices: {report.outcome}"]) + "\n"


def as_markdown(report: SweepReport) -> str:
    """Write the tables as GitHub's Markdown."""
    parts = []
    for table in tables(report):
        head, *lines = (" | ".join(map(markdown, line)) for line in (table.heads, *table.lines))
        rows = (head, " | ".join("---" for _ in table.heads), *lines)
        parts.append(f"## {table.title}\n\n" + "\n".join(f"| {row} |" for row in rows))
    return "\n\n".join([*parts, f"All models and devices: **{report.outcome}**"]) + "\n"


def _by_device(report: SweepReport) -> Table:
    devices = list(dict.fromkeys(row.device for row in report.rows))
    models = dict.fromkeys(row.model for row in report.rows)
    chosen = best(report.rows)
    lines = tuple(
        (model, *(_summary(chosen[model, device]) if (model, device) in chosen else "" for device in devices))
        for model in models
    )
    return Table("Models against devices, the best precision of each", ("model", *devices), lines)


def _summary(row: SweepRow) -> str:
    if row.outcome is None or not row.figures:
        return row.status if row.outcome is None else row.outcome
    words = [row.outcome, row.candidate]
    if "p50" in row.figures:
        words.append(f"{show('p50', row.figures['p50'])} {quantity_of('p50').unit}")
    return ", ".join(filter(None, [*words, _cost(row) and f"{_cost(row)} per million"]))


def _cells(report: SweepReport) -> Table:
    rows = [row for row in report.rows if row.status == "built"]
    names = [name for name in _FIGURES if any(name in row.figures for row in rows)]
    is_priced = any(row.cost is not None for row in rows)
    heads = [f"{quantity_of(name).heading} {quantity_of(name).unit}".strip() for name in names]
    heads += ["cost per million"] if is_priced else []
    lines = tuple(
        (
            row.model,
            row.device,
            row.candidate or row.precision,
            *(show(name, row.figures[name]) if name in row.figures else "n/a" for name in names),
            *([_cost(row) or "n/a"] if is_priced else []),
            str(row.outcome),
            row.place,
            "; ".join(f"{budget} {outcome}" for budget, outcome in row.budgets.items()),
        )
        for row in rows
    )
    return Table("Cells", ("model", "device", "selected", *heads, "outcome", "built on", "budgets"), lines)


def _notes(report: SweepReport) -> Table:
    """List the cells that lack something, those with one reason together."""
    cells: dict[tuple[str, str], list[str]] = {}
    for row in report.rows:
        said = [row.reason] if row.reason else []
        said += [f"Built elsewhere: {loss}" for loss in row.losses if row.status == "built"]
        for reason in said or ([""] if row.status != "built" else []):
            name = f"{row.model} for {row.device}{f', {row.precision}' if row.precision else ''}"
            cells.setdefault((row.status, reason), []).append(name)
    lines = tuple((status, f"{'; '.join(names)}: {why}".removesuffix(": ")) for (status, why), names in cells.items())
    return Table("Notes", ("status", "cells and reason"), lines)


def _cost(row: SweepRow) -> str:
    return "" if row.cost is None else f"{row.cost:.3g}"
