"""For a pull request or a CI job's summary: GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hwbench.formats.sections import budget_lines, rate_rows, rows
from hwbench.formats.sections.headline import clean, headline, outcome
from hwbench.formats.sections.provenance import how, judged, machines, warnings
from hwbench.formats.sections.rate_rows import RateTable
from hwbench.formats.sections.roofline_share import peaks, rooflines
from hwbench.formats.sections.rows import Row, columns, label
from hwbench.measurements.quantities import QUANTITIES
from hwbench.results.profile_results import ProfileResult, Results
from hwbench.stats.intervals import CONFIDENCE

# What would end a cell or start markup: `<` only where a tag could begin, so that p90<=20ms reads as it is.
_MARKUP = re.compile(r"[\\`*|~$\[&]|<(?=[A-Za-z/!?])")


def render(results: Results) -> str:
    """One heading, list of verdicts and table per profile."""
    blocks = [block for field in results.profiles for block in _blocks(field) if block]
    if len(results.profiles) != 1:
        blocks.append(f"All profiles: **{results.outcome}**")
    return "\n\n".join(blocks) + "\n"


def _blocks(field: ProfileResult) -> Iterable[str]:
    table = rows.rows(field)
    notes = rows.notes(table)
    yield f"## {_escape(field.model)} for {_escape(field.profile)}: {outcome(field)}"
    yield f"{_escape(headline(field, table))}."
    yield _list(
        f"**{line.outcome}** {_escape(line.budget)}: {_escape(line.evidence)}" for line in budget_lines.lines(field)
    )
    yield _table(table, notes)
    served = rate_rows.table(field)
    if served is not None:
        yield _served(served)
    yield _list(_remarks(field, notes))


def _remarks(field: ProfileResult, notes: dict[str, int]) -> Iterable[str]:
    for entry in field.candidates:
        if entry.reason:
            yield f"{_escape(label(entry))}, {entry.status}: {_escape(entry.reason)}"
    for reason, number in notes.items():
        yield f"[{number}] {_escape(reason)}"
    for candidate, bound in rooflines(field):
        yield f"Roofline, {_escape(candidate)}: {_escape(bound)}"
    for warning in warnings(field):
        yield f"**Warning**: {_escape(warning)}"
    for caveat in field.caveats:
        yield f"**Caveat**: {_escape(caveat)}"
    yield from _provenance(field)


def _table(table: tuple[Row, ...], notes: dict[str, int]) -> str:
    names = columns(table)
    heads = [f"{_escape(rows.heading(name, table))} {QUANTITIES[name].unit}".strip() for name in names]
    lines = [["candidate", "status", "verdict", *heads], ["---", "---", "---", *["---:"] * len(heads)]]
    for row in table:
        figures = [_cell(row.value(name, notes), row.interval(name)) for name in names]
        lines.append([_escape(label(row.entry)), row.entry.status, row.verdict or "-", *figures])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _served(served: RateTable) -> str:
    ends = ["---:"] * (len(served.heads) - 1) + ["---"]
    lines = [list(map(_escape, served.heads)), ends, *(list(map(_escape, line)) for line in served.lines)]
    if served.best is not None:
        lines[served.best + 2] = [f"**{cell}**" for cell in lines[served.best + 2]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{_escape(served.note)}"


def _cell(value: str, interval: str) -> str:
    """GitHub wraps cells at every space and makes wide tables scroll, so an interval is a line of its own."""
    return f"{value}<br>{interval.replace(' ', '&nbsp;')}" if interval else value


def _provenance(field: ProfileResult) -> Iterable[str]:
    for machine in machines(field):
        yield f"Measured on {_escape(machine)}"
    selected = field.selected
    if selected is not None and selected.report is not None:
        yield from (f"{name.capitalize()}: {_escape(fact)}" for name, fact in how(selected.report))
        yield f"Intervals: {CONFIDENCE:.0%} confidence"
    if judged(field):
        yield f"Verdicts: {judged(field)}"
    for line in peaks(field):
        yield f"At most, {_escape(line)}"
    if field.bundle is not None:
        yield f"Bundle: {_escape(str(field.bundle))}"


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _escape(text: str) -> str:
    return _MARKUP.sub(lambda match: "\\" + match[0], " ".join(clean(text).split()))
