"""A page to look at and to pass on: one file, no scripts, nothing fetched from anywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass

import jinja2
from markupsafe import Markup, escape

from hwbench.formats.charts import page_charts
from hwbench.formats.sections import budget_lines, headline, provenance, rate_rows, roofline_share, rows
from hwbench.formats.sections.rows import Row, columns
from hwbench.measurements.quantities import QUANTITIES
from hwbench.measurements.report import Report
from hwbench.results.profile_results import ProfileResult, Results
from hwbench.stats.intervals import CONFIDENCE

_KEY_FIGURES = {  # and how each compares
    "p50": headline.speedup,
    "p90": headline.speedup,
    "p99": headline.speedup,
    "size": headline.saving,
    "peak_memory": headline.saving,
}


@dataclass(frozen=True)
class Tile:
    """A key figure of the chosen candidate, and what it compares with."""

    title: str
    value: str
    unit: str
    remark: str


def render(results: Results) -> str:
    """The text of report.html."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hwbench"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    sections = [_section(field, f"f{number}") for number, field in enumerate(results.profiles, 1)]
    page = environment.get_template("report.html.j2").render(
        results=results, sections=sections, confidence=f"{CONFIDENCE:.0%}", quantities=QUANTITIES, label=rows.label
    )
    return headline.clean(page) + "\n"


def _section(field: ProfileResult, key: str) -> dict[str, object]:
    """What the template shows of one field; `key` is unique on the page."""
    table = rows.rows(field)
    selected, reference = headline.chosen_row(table), headline.reference(table)
    return {
        "key": key,
        "field": field,
        "outcome": headline.outcome(field),
        "headline": headline.headline(field, table),
        "selected": selected,
        "tiles": _tiles(selected, reference) if selected is not None else (),
        "reference": reference,
        "rows": table,
        "columns": [(name, rows.heading(name, table), QUANTITIES[name].unit) for name in columns(table)],
        "notes": rows.notes(table),
        "served": rate_rows.table(field),
        "charts": [(chart, Markup(chart.svg)) for chart in page_charts.charts(field, table, key)],
        "rooflines": roofline_share.rooflines(field),
        "budgets": budget_lines.lines(field),
        "warnings": provenance.warnings(field),
        "provenance": _facts(field, selected),
        "commands": provenance.commands(field),
    }


def _tiles(row: Row, against: Row | None) -> tuple[Tile, ...]:
    tiles = []
    for name, compare in _KEY_FIGURES.items():
        if name in row.figures:
            shown = rows.show(name, row.figures[name].value)
            tiles.append(Tile(name.replace("_", " "), shown, QUANTITIES[name].unit, compare(row, against, name)))
    accuracy = row.entry.report.accuracy if row.entry.report is not None else None
    if accuracy is not None and "accuracy" in row.figures:
        tiles.insert(0, Tile(accuracy.metric, headline.share(row, accuracy), "", headline.drop(row, accuracy)))
    return tuple(tiles)


def _breakable(text: str) -> Markup:
    """A name that may go on in the next line behind what joins its words."""
    return Markup(re.sub(r"(?<=[_=/.+])(?=\w)", "<wbr>", str(escape(text))))


def _facts(field: ProfileResult, selected: Row | None) -> list[tuple[str, str]]:
    facts = [("Measured on", machine) for machine in provenance.machines(field)]
    reports = [entry.report for entry in field.candidates if entry.report is not None]
    report = selected.entry.report if selected is not None else None
    facts += _how(report) if report is not None else []
    facts += [("At most", peaks) for peaks in roofline_share.peaks(field)]
    facts += [("Verdicts", provenance.judged(field))] if provenance.judged(field) else []
    facts += [("Layers", provenance.layers(field))] if provenance.layers(field) else []
    facts += [("Search", provenance.search(field))] if provenance.search(field) else []
    facts += [("Source, SHA-256", digest) for digest in dict.fromkeys(r.artifact.source_sha256 for r in reports)]
    versions = dict.fromkeys(item for r in reports for item in r.artifact.tool_versions.items())
    if versions:
        facts.append(("Made with", ", ".join(f"{tool} {version}" for tool, version in versions)))
    return facts + ([("Bundle", str(field.bundle))] if field.bundle is not None else [])


def _how(report: Report) -> list[tuple[str, str]]:
    facts = [(name.capitalize(), fact) for name, fact in provenance.how(report)]
    inputs = ", ".join(map(str, report.artifact.inputs))
    return [*facts, ("Inputs", inputs)] if inputs else facts
