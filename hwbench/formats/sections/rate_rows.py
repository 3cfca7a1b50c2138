"""Latency of a server at every rate of arrivals, as strings that all formats share."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from hwbench.formats.sections import rows
from hwbench.load import server_max_rate
from hwbench.measurements.latency import Latency
from hwbench.results.profile_results import CandidateResult, ProfileResult
from hwbench.stats import intervals

_SHOWN = (50.0, 90.0, 99.0)


@dataclass(frozen=True)
class RateTable:
    """Throughput against latency, the lowest rate first.

    Attributes:
        heads: headings, with the units.
        lines: the cells of one line per rate.
        best: index of the line of the largest rate that holds the bound; None if no rate does.
        note: a few sentences on how to read the table.
    """

    heads: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    best: int | None
    note: str


def table(result: ProfileResult) -> RateTable | None:
    """Make the table of a server's rates; None for other scenarios."""
    candidate = result.selected
    found = rates(candidate) if candidate is not None else ()
    if not found or not result.budgets:
        return None
    bound = result.budgets[0]
    percent = server_max_rate.percent_of(bound)
    best, contradicted = server_max_rate.largest(found, bound), server_max_rate.contradicted(found, bound)
    shown = sorted({*_SHOWN, percent})
    lines = []
    for index, latency in enumerate(found):
        held = "held" if server_max_rate.holds(latency, bound) else "missed"
        verdict = f"{held}, the queue grew" if latency.is_saturated else held
        verdict += ", though a higher rate held" if index in contradicted else ""
        lines.append(
            (
                rows.show("throughput", latency.asked_per_s),
                rows.show("throughput", latency.throughput_per_s.value),
                *(_percentile(latency, each) for each in shown),
                _tail(latency, percent),
                f"{verdict} (largest)" if index == best else verdict,
            )
        )
    heads = ("asked per s", "done per s", *(f"p{each:g} ms" for each in shown), f"MLPerf p{percent:g} ms", bound.text)
    note = f"MLPerf p{percent:g} is computed by early stopping with 99% confidence; the bound is judged by it."
    if any(latency.undisturbed is not latency for latency in found):
        note += " Percentiles use the undisturbed processes alone, where there are two of them."
    if any("n/a" in line for line in lines):
        needed = intervals.quantile_runs_needed(shown[-1] / 100)
        note += f" n/a: too few queries; p{shown[-1]:g} takes {needed:,}."
    return RateTable(heads, tuple(lines), best, note)


def rates(candidate: CandidateResult) -> tuple[Latency, ...]:
    """List all of a server's rates, the lowest first; empty for other scenarios."""
    report = candidate.report
    if report is None or report.latency is None or report.latency.scenario != "server":
        return ()
    return tuple(sorted((report.latency, *report.rates), key=lambda latency: latency.asked_per_s))


def at_rates(candidate: CandidateResult) -> tuple[CandidateResult, ...]:
    """Split a server's candidate into one per rate, each with its own verdict; return any other candidate as it is."""
    return tuple(_at(candidate, latency) for latency in rates(candidate)) or (candidate,)


def _at(candidate: CandidateResult, latency: Latency) -> CandidateResult:
    assert candidate.report is not None
    verdicts = tuple(
        dataclasses.replace(verdict, outcome="pass" if server_max_rate.holds(latency, verdict.budget) else "fail")
        for verdict in candidate.verdicts
    )
    return dataclasses.replace(
        candidate, report=dataclasses.replace(candidate.report, latency=latency), verdicts=verdicts
    )


def _percentile(latency: Latency, percent: float) -> str:
    try:
        return rows.show(f"p{percent:g}", latency.percentile(percent).value)
    except ValueError:
        return "n/a"


def _tail(latency: Latency, percent: float) -> str:
    tail = latency.tail_ms(percent)
    return "n/a" if tail is None else rows.show(f"p{percent:g}", tail)
