"""GitHub's Markdown for a pull request or a CI job's summary."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hwbench.formats._escape import markdown
from hwbench.formats.sections import budget_lines, forecast_lines, rate_rows, rows
from hwbench.formats.sections.headline import headline, outcome
from hwbench.formats.sections.provenance import gate_note, machines, method_facts, warnings
from hwbench.formats.sections.rate_rows import RateTable
from hwbench.formats.sections.roofline_share import peaks, rooflines
from hwbench.formats.sections.rows import Row, columns, label
from hwbench.layers import change_wording
from hwbench.measurements.quantities import quantity_of
from hwbench.results.profile_results import ProfileResult, Results
from hwbench.stats.intervals import CONFIDENCE


def render(results: Results) -> str:
    """Write a heading, a list of verdicts and a table per profile."""
    blocks = [block for result in results.profiles for block in _blocks(result) if block]
    if len(results.profiles) != 1:
        blocks.append(f"All profiles: **{results.outcome}**")
    return "\n\n".join([*blocks, marker(results)]) + "\n"


def marker(results: Results) -> str:
    """Write a comment that no reader sees, by which a bot finds what it wrote of the same models before."""
    names = " ".join(f"{result.model}/{result.profile}" for result in results.profiles)
    return f"<!-- edgewright {re.sub(r'[^A-Za-z0-9 ._/]+', '-', names)[:200]} -->"


def _blocks(result: ProfileResult) -> Iterable[str]:
    table = rows.rows(result)
    notes = rows.notes(table)
    yield f"## {markdown(result.model)} for {markdown(result.profile)}: {outcome(result)}"
    yield f"{markdown(headline(result, table))}."
    yield _list(
        f"**{line.outcome}** {markdown(line.budget)}: {markdown(line.evidence)}" for line in budget_lines.lines(result)
    )
    if result.layer_changes is not None:
        yield _list(
            f"Layer {markdown(name)}: {markdown(said)}" for name, said in change_wording.lines(result.layer_changes)
        )
    if result.unsettled is not None:
        yield f"**Unsettled**: {markdown(result.unsettled.sentence)}."
    yield _table(table, notes)
    served = rate_rows.table(result)
    if served is not None:
        yield _served(served)
    yield _list(_remarks(result, notes))


def _remarks(result: ProfileResult, notes: dict[str, int]) -> Iterable[str]:
    for candidate in result.candidates:
        if candidate.reason:
            yield f"{markdown(label(candidate))}, {candidate.status}: {markdown(candidate.reason)}"
    for reason, number in notes.items():
        yield f"[{number}] {markdown(reason)}"
    for name, bound in rooflines(result):
        yield f"Roofline, {markdown(name)}: {markdown(bound)}"
    for name, said in (*forecast_lines.forecasts(result), *forecast_lines.errors(result)):
        yield f"Forecast, not measured, {markdown(name)}: {markdown(said)}"
    for warning in warnings(result):
        yield f"**Warning**: {markdown(warning)}"
    for caveat in result.caveats:
        yield f"**Caveat**: {markdown(caveat)}"
    yield from _provenance(result)


def _table(table: tuple[Row, ...], notes: dict[str, int]) -> str:
    names = columns(table)
    heads = [f"{markdown(rows.heading(name, table))} {quantity_of(name).unit}".strip() for name in names]
    lines = [["candidate", "status", "verdict", *heads], ["---", "---", "---", *["---:"] * len(heads)]]
    for row in table:
        figures = [_cell(row.value(name, notes), row.interval(name)) for name in names]
        lines.append([markdown(label(row.candidate)), row.candidate.status, row.verdict or "-", *figures])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _served(served: RateTable) -> str:
    ends = ["---:"] * (len(served.heads) - 1) + ["---"]
    lines = [list(map(markdown, served.heads)), ends, *(list(map(markdown, line)) for line in served.lines)]
    if served.best is not None:
        lines[served.best + 2] = [f"**{cell}**" for cell in lines[served.best + 2]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{markdown(served.note)}"


def _cell(value: str, interval: str) -> str:
    """Put an interval on a line of its own, since GitHub wraps cells at every space and wide tables scroll."""
    return f"{value}<br>{interval.replace(' ', '&nbsp;')}" if interval else value


def _provenance(result: ProfileResult) -> Iterable[str]:
    for machine in machines(result):
        yield f"Measured on {markdown(machine)}"
    selected = result.selected
    if selected is not None and selected.report is not None:
        yield from (f"{name.capitalize()}: {markdown(fact)}" for name, fact in method_facts(selected.report))
        yield f"Intervals: {CONFIDENCE:.0%} confidence"
    if gate_note(result):
        yield f"Verdicts: {gate_note(result)}"
    for line in peaks(result):
        yield f"At most, {markdown(line)}"
    if result.bundle is not None:
        yield f"Bundle: {markdown(str(result.bundle))}"


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
