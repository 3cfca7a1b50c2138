"""HTML page in one file, without scripts, that fetches nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

import jinja2
from markupsafe import Markup, escape

from hwbench.formats._escape import clean
from hwbench.formats.charts import page_charts
from hwbench.formats.sections import budget_lines, forecast_lines, headline, provenance, rate_rows, roofline_share, rows
from hwbench.formats.sections.rows import Row, columns
from hwbench.layers import change_wording
from hwbench.measurements.quantities import QUANTITIES, quantity_of
from hwbench.measurements.report import Report
from hwbench.results.profile_results import ProfileResult, Results
from hwbench.stats.intervals import CONFIDENCE

_KEY_FIGURES = {  # each with the function that compares it with the reference
    "p50": headline.speedup,
    "p90": headline.speedup,
    "p99": headline.speedup,
    "size": headline.saving,
    "peak_memory": headline.saving,
}


@dataclass(frozen=True)
class Tile:
    """A key figure of the selected candidate, and how it compares."""

    title: str
    value: str
    unit: str
    remark: str


def render(results: Results) -> str:
    """Write the text of report.html."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hwbench"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    sections = [_section(result, f"f{number}") for number, result in enumerate(results.profiles, 1)]
    page = environment.get_template("report.html.j2").render(
        results=results, sections=sections, confidence=f"{CONFIDENCE:.0%}", quantities=QUANTITIES, label=rows.label
    )
    return clean(page) + "\n"


def _section(result: ProfileResult, key: str) -> dict[str, object]:
    """Collect the values that the template shows for one profile; `key` is unique on the page."""
    table = rows.rows(result)
    selected, reference = headline.selected_row(table), headline.reference(table)
    return {
        "key": key,
        "result": result,
        "outcome": headline.outcome(result),
        "headline": headline.headline(result, table),
        "selected": selected,
        "tiles": _tiles(selected, reference) if selected is not None else (),
        "reference": reference,
        "rows": table,
        "columns": [(name, rows.heading(name, table), quantity_of(name).unit) for name in columns(table)],
        "notes": rows.notes(table),
        "served": rate_rows.table(result),
        "charts": [(chart, Markup(chart.svg)) for chart in page_charts.charts(result, table, key)],
        "rooflines": roofline_share.rooflines(result),
        "forecasts": [*forecast_lines.forecasts(result), *forecast_lines.errors(result)],
        "budgets": budget_lines.lines(result),
        "layers": change_wording.lines(result.layer_changes) if result.layer_changes is not None else (),
        "warnings": provenance.warnings(result),
        "provenance": _facts(result, selected),
        "commands": provenance.commands(result),
    }


def _tiles(row: Row, against: Row | None) -> tuple[Tile, ...]:
    tiles = []
    for name, compare in _KEY_FIGURES.items():
        if name in row.figures:
            shown = rows.show(name, row.figures[name].value)
            tiles.append(Tile(name.replace("_", " "), shown, quantity_of(name).unit, compare(row, against, name)))
    metrics = [
        Tile(accuracy.metric, headline.share(row, accuracy, key), "", headline.drop(row, accuracy, key))
        for key, accuracy in headline.scored(row)
    ]
    return (*metrics, *tiles)


def _breakable(text: str) -> Markup:
    """Let a name break into a new line after the characters that join its words."""
    return Markup(re.sub(r"(?<=[_=/.+])(?=\w)", "<wbr>", str(escape(text))))


def _facts(result: ProfileResult, selected: Row | None) -> list[tuple[str, str]]:
    facts = [("Measured on", machine) for machine in provenance.machines(result)]
    reports = [candidate.report for candidate in result.candidates if candidate.report is not None]
    report = selected.candidate.report if selected is not None else None
    facts += _report_facts(report) if report is not None else []
    facts += [("At most", peaks) for peaks in roofline_share.peaks(result)]
    facts += [("Verdicts", provenance.gate_note(result))] if provenance.gate_note(result) else []
    facts += [("Layers", provenance.layers(result))] if provenance.layers(result) else []
    facts += [("Search", provenance.search(result))] if provenance.search(result) else []
    facts += [("Source, SHA-256", digest) for digest in dict.fromkeys(r.artifact.source_sha256 for r in reports)]
    versions = dict.fromkeys(item for r in reports for item in r.artifact.tool_versions.items())
    if versions:
        facts.append(("Made with", ", ".join(f"{tool} {version}" for tool, version in versions)))
    return facts + ([("Bundle", str(result.bundle))] if result.bundle is not None else [])


def _report_facts(report: Report) -> list[tuple[str, str]]:
    facts = [(name.capitalize(), fact) for name, fact in provenance.method_facts(report)]
    inputs = ", ".join(map(str, report.artifact.inputs))
    return [*facts, ("Inputs", inputs)] if inputs else facts
