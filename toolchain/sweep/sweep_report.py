"""Report of a sweep: a row per cell, and for each model and device the best of its precisions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hwbench.budgets.outcome import Outcome, worst
from hwbench.measurements.report import NotMeasuredError, Report
from hwbench.results.profile_results import ProfileResult
from toolchain.sweep.cells import Cell, CellRecord

SCHEMA_VERSION = 1

FIGURES = ("p50", "p90", "accuracy", "accuracy_drop", "throughput", "size", "peak_memory")
"""The figures of a row, as `Report.estimate` names them."""

_HOUR_S = 3600.0
_ORDER: Mapping[str, int] = {"pass": 0, "inconclusive": 1, "fail": 2}


@dataclass(frozen=True)
class SweepRow:
    """One cell.

    Attributes:
        precision: the precision that was asked for; empty for all.
        status: built; not built, since there is nothing to try; failed; or not run, since the sweep was interrupted.
        reason: the reason for a status other than built, or for a missing latency.
        candidate: the candidate that the build selected; empty if it selected none.
        outcome: the worst verdict of what was selected; None if nothing was built.
        budgets: the outcome of each budget, by the budget as the user wrote it.
        figures: figures of what was selected, by name: ms, bytes, inferences per second, or plain.
        cost: the price of a million inferences, one stream at a time, in the currency of the device's price; None
            without a price or a latency.
        place: the machine that built it.
        seconds: the time that it took there.
        losses: the places that were lost while they built it.
        folder: the folder of its bundle and reports, seen from the sweep's.
    """

    model: str
    device: str
    precision: str
    status: Literal["built", "not built", "failed", "not run"]
    reason: str = ""
    candidate: str = ""
    outcome: Outcome | None = None
    budgets: Mapping[str, Outcome] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    cost: float | None = None
    place: str = ""
    seconds: float = 0.0
    losses: tuple[str, ...] = ()
    folder: str = ""


@dataclass(frozen=True)
class SweepReport:
    """All cells of a sweep.

    Attributes:
        prices: prices per hour, by device.
    """

    schema_version: int
    rows: tuple[SweepRow, ...]
    prices: Mapping[str, float] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of all models and devices, each by the best of its precisions."""
        return worst(row.outcome or "inconclusive" for row in best(self.rows).values())

    @property
    def is_complete(self) -> bool:
        """False if a cell failed or was not run."""
        return all(row.status in ("built", "not built") for row in self.rows)


def best(rows: Sequence[SweepRow]) -> dict[tuple[str, str], SweepRow]:
    """Choose for each model and device the row with the best outcome, then the smallest p50, then the smallest size."""
    chosen: dict[tuple[str, str], SweepRow] = {}
    for row in sorted(rows, key=_rank):
        chosen.setdefault((row.model, row.device), row)
    return chosen


def row_of(cell: Cell, record: CellRecord | None, result: ProfileResult | None, price: float | None) -> SweepRow:
    """Make a row.

    Args:
        cell: the cell.
        record: its outcome; None if it was not run.
        result: its report, if it was built.
        price: the device's price per hour; None if it is unknown.
    """
    shown = (cell.model, cell.profile.name, cell.precision)
    if record is None:
        return SweepRow(*shown, "not run")
    status = "failed" if record.status == "built" and result is None else record.status
    row = SweepRow(*shown, status, record.reason, place=record.place, seconds=record.seconds, losses=record.losses)
    if result is None:
        return row
    selected = result.selected
    report = selected.report if selected is not None else None
    figures = _figures(report) if report is not None else {}
    rate = figures.get("throughput")
    return dataclasses.replace(
        row,
        reason=_reason(result),
        candidate=selected.name if selected is not None else "",
        outcome=result.outcome,
        budgets={verdict.budget.text: verdict.outcome for verdict in selected.verdicts} if selected else {},
        figures=figures,
        cost=price / _HOUR_S / rate * 1e6 if price is not None and rate else None,
        folder=f"cells/{cell.name}",
    )


def _rank(row: SweepRow) -> tuple[int, float, float]:
    outcome = _ORDER[row.outcome] if row.outcome is not None and row.figures else len(_ORDER)
    largest = float("inf")
    return outcome, row.figures.get("p50", largest), row.figures.get("size", largest)


def _figures(report: Report) -> dict[str, float]:
    found = {}
    for name in FIGURES:
        try:
            found[name] = report.estimate(name).value
        except NotMeasuredError:
            continue
    return found


def _reason(result: ProfileResult) -> str:
    selected = result.selected
    if selected is None:
        reasons = (candidate.reason for candidate in result.candidates if candidate.reason)
        return next(reasons, "no candidate was selected")
    return selected.report.unmeasured.get("latency", "") if selected.report is not None else ""
