"""Rows of candidates: their figures as strings that all formats share."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwbench.measurements.quantities import QUANTITIES, quantity_of, split
from hwbench.measurements.report import NotMeasuredError, Report
from hwbench.results.profile_results import CandidateResult, ProfileResult
from hwbench.stats.intervals import Estimate

_COLUMNS = ("accuracy", "accuracy_drop", "p50", "p90", "p99", "throughput", "size", "peak_memory")
_COLUMNS_IF_KNOWN = ("energy", "placement", "instructions")  # few machines have a meter; the others take a budget

_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_TAG_WIDTH, _TAG_LINES = 22, 2


@dataclass(frozen=True)
class Row:
    """A candidate's figures.

    Attributes:
        short: the candidate's name without the runtime.
        name: its name, with the runtime if there are several.
        tag: its name for a chart, in short lines, with the runtime below if there are several runtimes.
        figures: estimates by quantity.
        missing: reasons for missing figures, by quantity.
    """

    candidate: CandidateResult
    short: str
    name: str
    tag: str
    figures: Mapping[str, Estimate]
    missing: Mapping[str, str]

    @property
    def verdict(self) -> str:
        """Outcome of all verdicts; empty where nothing was judged."""
        return self.candidate.outcome if self.candidate.report is not None and self.candidate.verdicts else ""

    def value(self, quantity: str, notes: Mapping[str, int]) -> str:
        """Write a figure; "-" for a candidate that was not measured, "n/a [1]" where note 1 gives the reason."""
        if self.candidate.report is None:
            return "-"
        if quantity not in self.figures:
            return f"n/a [{notes[self.missing[quantity]]}]"
        return show(quantity, self.figures[quantity].value)

    def interval(self, quantity: str) -> str:
        """Write the interval as "[low, high]"; empty where there is none to show."""
        figure = self.figures.get(quantity)
        if figure is None or not quantity_of(quantity).interval:
            return ""
        places = _places(quantity, figure.value)
        return f"[{_fixed(quantity, figure.low, places)}, {_fixed(quantity, figure.high, places)}]"


def rows(result: ProfileResult) -> tuple[Row, ...]:
    """Make one row per candidate, in the result's order."""
    names = [_short(candidate) for candidate in result.candidates]
    runtimes = {candidate.runtime for candidate in result.candidates}
    return tuple(
        _row(candidate, name, len(runtimes) == 1, _tag(name, candidate.runtime if len(runtimes) > 1 else ""))
        for candidate, name in zip(result.candidates, names)
    )


def columns(table: Sequence[Row]) -> tuple[str, ...]:
    """List the quantities to show for every candidate; verdicts show the others that have a budget."""
    known = (name for name in _COLUMNS_IF_KNOWN if any(name in row.figures for row in table))
    others = dict.fromkeys(name for row in table for name in (*row.figures, *row.missing) if split(name)[1])
    return (*_COLUMNS[:2], *others, *_COLUMNS[2:], *known)


def label(candidate: CandidateResult) -> str:
    """Name a candidate with its precision and its runtime, each once: "int8 (onnxruntime)"."""
    name = candidate.name if candidate.precision in candidate.name else f"{candidate.name}, {candidate.precision}"
    return name if candidate.runtime in name else f"{name} ({candidate.runtime})"


def notes(table: Sequence[Row]) -> dict[str, int]:
    """Number the reasons for missing figures from 1, in the order of the table."""
    shown = columns(table)
    reasons = [row.missing[quantity] for row in table for quantity in shown if quantity in row.missing]
    return {reason: number for number, reason in enumerate(dict.fromkeys(reasons), 1)}


def heading(quantity: str, table: Sequence[Row]) -> str:
    """Return a column's heading without its unit: for the accuracy, the metric's name."""
    name, metric = split(quantity)
    if metric:
        return metric if name == "accuracy" else f"{metric} {quantity_of(quantity).heading}"
    if quantity != "accuracy":
        return QUANTITIES[quantity].heading
    metrics = {
        row.candidate.report.accuracy.metric for row in table if row.candidate.report and row.candidate.report.accuracy
    }
    return " or ".join(sorted(metrics)) or QUANTITIES[quantity].heading


def show(quantity: str, value: float) -> str:
    """Write a figure in the unit that is shown, without this unit: three significant digits, accuracy four decimals."""
    return _fixed(quantity, value, _places(quantity, value))


def _row(candidate: CandidateResult, short: str, is_alone: bool, tag: str) -> Row:
    figures, missing = {}, {}
    if candidate.report is not None:
        for quantity in candidate.report.figures:
            try:
                figures[quantity] = _estimate(candidate.report, quantity)
            except NotMeasuredError as reason:
                missing[quantity] = str(reason)
    return Row(candidate, short, short if is_alone else label(candidate), tag, figures, missing)


def _short(candidate: CandidateResult) -> str:
    return candidate.name.replace(f" ({candidate.runtime})", "", 1)


def _tag(name: str, runtime: str) -> str:
    lines = textwrap.wrap(name, _TAG_WIDTH, max_lines=_TAG_LINES, placeholder=_ELLIPSIS)
    return "\n".join([*lines, *textwrap.wrap(runtime, _TAG_WIDTH, max_lines=1, placeholder=_ELLIPSIS)])


def _estimate(report: Report, quantity: str) -> Estimate:
    """Estimate as `Report.estimate` does; a figure that is not finite counts as not measured."""
    figure = report.estimate(quantity)
    if not all(map(math.isfinite, (figure.value, figure.low, figure.high))):
        raise NotMeasuredError(f"the {quantity} came out as {figure.value} [{figure.low}, {figure.high}]")
    return figure


def _places(quantity: str, value: float) -> int:
    if quantity.startswith("accuracy"):
        return 4  # as in budgets, and in the gate's verdicts
    shown = abs(value * quantity_of(quantity).scale)
    return min(max(2 - math.floor(math.log10(shown)), 0), 6) if shown > 0 else 0


def _fixed(quantity: str, value: float, places: int) -> str:
    text = f"{value * quantity_of(quantity).scale:,.{places}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text  # no negative zero
