"""GitHub's Markdown for a pull request or a CI job's summary."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hwbench.formats.sections import budget_lines, rate_rows, rows
from hwbench.formats.sections.headline import clean, headline, outcome
from hwbench.formats.sections.provenance import gate_note, machines, method_facts, warnings
from hwbench.formats.sections.rate_rows import RateTable
from hwbench.formats.sections.roofline_share import peaks, rooflines
from hwbench.formats.sections.rows import Row, columns, label
from hwbench.measurements.quantities import quantity_of
from hwbench.results.profile_results import ProfileResult, Results
from hwbench.stats.intervals import CONFIDENCE

# Characters that would end a cell or start markup. `<` counts only if a tag could begin, so p90<=20ms stays as it is.
_MARKUP = re.compile(r"[\\`*|~$\[&]|<(?=[A-Za-z/!?])")


def render(results: Results) -> str:
    """Write a heading, a list of verdicts and a table per profile."""
    blocks = [block for result in results.profiles for block in _blocks(result) if block]
    if len(results.profiles) != 1:
        blocks.append(f"All profiles: **{results.outcome}**")
    return "\n\n".join(blocks) + "\n"


def _blocks(result: ProfileResult) -> Iterable[str]:
    table = rows.rows(result)
    notes = rows.notes(table)
    yield f"## {_escape(result.model)} for {_escape(result.profile)}: {outcome(result)}"
    yield f"{_escape(headline(result, table))}."
    yield _list(
        f"**{line.outcome}** {_escape(line.budget)}: {_escape(line.evidence)}" for line in budget_lines.lines(result)
    )
    if result.unsettled is not None:
        yield f"**Unsettled**: {_escape(result.unsettled.sentence)}."
    yield _table(table, notes)
    served = rate_rows.table(result)
    if served is not None:
        yield _served(served)
    yield _list(_remarks(result, notes))


def _remarks(result: ProfileResult, notes: dict[str, int]) -> Iterable[str]:
    for candidate in result.candidates:
        if candidate.reason:
            yield f"{_escape(label(candidate))}, {candidate.status}: {_escape(candidate.reason)}"
    for reason, number in notes.items():
        yield f"[{number}] {_escape(reason)}"
    for name, bound in rooflines(result):
        yield f"Roofline, {_escape(name)}: {_escape(bound)}"
    for warning in warnings(result):
        yield f"**Warning**: {_escape(warning)}"
    for caveat in result.caveats:
        yield f"**Caveat**: {_escape(caveat)}"
    yield from _provenance(result)


def _table(table: tuple[Row, ...], notes: dict[str, int]) -> str:
    names = columns(table)
    heads = [f"{_escape(rows.heading(name, table))} {quantity_of(name).unit}".strip() for name in names]
    lines = [["candidate", "status", "verdict", *heads], ["---", "---", "---", *["---:"] * len(heads)]]
    for row in table:
        figures = [_cell(row.value(name, notes), row.interval(name)) for name in names]
        lines.append([_escape(label(row.candidate)), row.candidate.status, row.verdict or "-", *figures])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _served(served: RateTable) -> str:
    ends = ["---:"] * (len(served.heads) - 1) + ["---"]
    lines = [list(map(_escape, served.heads)), ends, *(list(map(_escape, line)) for line in served.lines)]
    if served.best is not None:
        lines[served.best + 2] = [f"**{cell}**" for cell in lines[served.best + 2]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{_escape(served.note)}"


def _cell(value: str, interval: str) -> str:
    """Put an interval on a line of its own, since GitHub wraps cells at every space and wide tables scroll."""
    return f"{value}<br>{interval.replace(' ', '&nbsp;')}" if interval else value


def _provenance(result: ProfileResult) -> Iterable[str]:
    for machine in machines(result):
        yield f"Measured on {_escape(machine)}"
    selected = result.selected
    if selected is not None and selected.report is not None:
        yield from (f"{name.capitalize()}: {_escape(fact)}" for name, fact in method_facts(selected.report))
        yield f"Intervals: {CONFIDENCE:.0%} confidence"
    if gate_note(result):
        yield f"Verdicts: {gate_note(result)}"
    for line in peaks(result):
        yield f"At most, {_escape(line)}"
    if result.bundle is not None:
        yield f"Bundle: {_escape(str(result.bundle))}"


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _escape(text: str) -> str:
    return _MARKUP.sub(lambda match: "\\" + match[0], " ".join(clean(text).split()))
