"""CSV for a spreadsheet or a data frame: one line per candidate, plain numbers, units in the headings."""

from __future__ import annotations

import csv
import dataclasses
from io import StringIO

from hwbench.formats._escape import csv_cell
from hwbench.formats.sections import rate_rows, rows
from hwbench.formats.sections.provenance import describe
from hwbench.formats.sections.rows import Row
from hwbench.measurements.quantities import QUANTITIES, quantity_of
from hwbench.measurements.report import NotMeasuredError, Report
from hwbench.measurements.roofline import roofline
from hwbench.measurements.stability_warnings import stability_warnings
from hwbench.results.profile_results import ProfileResult, Results

_ENDS = ("", "_low", "_high")


def render(results: Results) -> str:
    """Write CSV with a heading line; a server has a line per rate. `not_measured` holds the reasons for empty cells."""
    lines = []
    for result in results.profiles:
        candidates = tuple(each for candidate in result.candidates for each in rate_rows.at_rates(candidate))
        lines += [_line(result, row) for row in rows.rows(dataclasses.replace(result, candidates=candidates))]
    out = StringIO()
    headings = dict.fromkeys(heading for line in (_line(None, None), *lines) for heading in line)  # of all metrics
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(csv_cell, headings))
    writer.writerows([csv_cell(line.get(heading)) for heading in headings] for line in lines)
    return out.getvalue()


def _line(result: ProfileResult | None, row: Row | None) -> dict[str, object]:
    """Make one line as values by heading; without a row, all values are None."""
    candidate = row.candidate if row else None
    report = candidate.report if candidate else None
    latency, accuracy = (report.latency, report.accuracy) if report else (None, None)
    line: dict[str, object] = {
        "model": result and result.model,
        "profile": result and result.profile,
        "candidate": candidate and candidate.name,
        "precision": candidate and candidate.precision,
        "runtime": candidate and candidate.runtime,
        "status": candidate and candidate.status,
        "outcome": row and row.verdict,
        "reason": candidate and candidate.reason,
        "metric": accuracy and ", ".join(one.metric for one in accuracy.each),
        "evaluation_samples": accuracy and accuracy.n,
        "latency_samples": latency and len(latency.samples_ms),
        "scenario": latency and latency.scenario,
        "target_per_s": latency and latency.load and latency.load.target_per_s,
        "batch": latency and latency.batch,
        "threads": latency and latency.threads,
    }
    for name in report.figures if report else QUANTITIES:
        figure = row.figures.get(name) if row else None
        values = (figure.value, figure.low, figure.high) if figure else (None, None, None)
        for value, end in zip(values, _ENDS):
            line[f"{name}{quantity_of(name).stored_suffix}{end}"] = value
    return {
        **line,
        **_roofline(report),
        "not_measured": _missing(row) if row else None,
        "verdicts": "; ".join(f"{v.budget.text}: {v.outcome}" for v in candidate.verdicts) if candidate else None,
        "warnings": "; ".join(warning.text for warning in stability_warnings(report)) if report else None,
        "machine": report and describe(report.machine),
        "source_sha256": report and report.artifact.source_sha256,
    }


def _roofline(report: Report | None) -> dict[str, object]:
    """Describe the roofline, or the reason why there is none."""
    line: dict[str, object] = dict.fromkeys(("roofline_ms", "roofline_bound", "roofline_share", "roofline_missing"))
    if report is None:
        return line
    try:
        found = roofline(report)
    except NotMeasuredError as reason:
        return {**line, "roofline_missing": str(reason)}
    return {**line, "roofline_ms": found.time_ms, "roofline_bound": found.bound, "roofline_share": found.share}


def _missing(row: Row) -> str:
    """List quantities by reason, as in "p99, p99.9: too few samples"."""
    names: dict[str, list[str]] = {}
    for name, reason in row.missing.items():
        names.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(group)}: {reason}" for reason, group in names.items())
