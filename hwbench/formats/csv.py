"""For a spreadsheet or a data frame: one line per candidate, plain numbers, units in the headings."""

from __future__ import annotations

import csv
import dataclasses
from io import StringIO

from hwbench.formats.sections import rate_rows, rows
from hwbench.formats.sections.headline import clean
from hwbench.formats.sections.provenance import describe
from hwbench.formats.sections.rows import Row
from hwbench.measurements.quantities import QUANTITIES
from hwbench.measurements.report import NotMeasuredError, Report
from hwbench.measurements.roofline import roofline
from hwbench.measurements.stability_warnings import stability_warnings
from hwbench.results.profile_results import ProfileResult, Results

_ENDS = ("", "_low", "_high")


def render(results: Results) -> str:
    """CSV with a heading line; of server, a line per rate. What is missing is empty; `not_measured` says why."""
    out = StringIO()
    writer = csv.DictWriter(out, list(_line(None, None)), lineterminator="\n")
    writer.writeheader()
    for field in results.profiles:
        entries = tuple(each for entry in field.candidates for each in rate_rows.at_rates(entry))
        writer.writerows(_line(field, row) for row in rows.rows(dataclasses.replace(field, candidates=entries)))
    return clean(out.getvalue())


def _line(field: ProfileResult | None, row: Row | None) -> dict[str, object]:
    """One line by heading; without a row, the headings."""
    entry = row.entry if row else None
    report = entry.report if entry else None
    latency, accuracy = (report.latency, report.accuracy) if report else (None, None)
    line: dict[str, object] = {
        "model": field and field.model,
        "profile": field and field.profile,
        "candidate": entry and entry.name,
        "precision": entry and entry.precision,
        "runtime": entry and entry.runtime,
        "status": entry and entry.status,
        "outcome": row and row.verdict,
        "reason": entry and entry.reason,
        "metric": accuracy and accuracy.metric,
        "evaluation_samples": accuracy and accuracy.n,
        "latency_samples": latency and len(latency.samples_ms),
        "scenario": latency and latency.scenario,
        "target_per_s": latency and latency.load and latency.load.target_per_s,
        "batch": latency and latency.batch,
        "threads": latency and latency.threads,
    }
    for name, quantity in QUANTITIES.items():
        figure = row.figures.get(name) if row else None
        values = (figure.value, figure.low, figure.high) if figure else (None, None, None)
        for value, end in zip(values, _ENDS):
            line[f"{name}{quantity.kept_in}{end}"] = value
    return {
        **line,
        **_roofline(report),
        "not_measured": _missing(row) if row else None,
        "verdicts": "; ".join(f"{v.budget.text}: {v.outcome}" for v in entry.verdicts) if entry else None,
        "doubts": "; ".join(doubt.text for doubt in stability_warnings(report)) if report else None,
        "machine": report and describe(report.machine),
        "source_sha256": report and report.artifact.source_sha256,
    }


def _roofline(report: Report | None) -> dict[str, object]:
    """Empty, with the reason, where there is none."""
    line: dict[str, object] = dict.fromkeys(("roofline_ms", "roofline_bound", "roofline_share", "roofline_missing"))
    if report is None:
        return line
    try:
        found = roofline(report)
    except NotMeasuredError as reason:
        return {**line, "roofline_missing": str(reason)}
    return {**line, "roofline_ms": found.time_ms, "roofline_bound": found.bound, "roofline_share": found.share}


def _missing(row: Row) -> str:
    """Quantities by reason, as in "p99, p99.9: too few samples"."""
    names: dict[str, list[str]] = {}
    for name, reason in row.missing.items():
        names.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(group)}: {reason}" for reason, group in names.items())
