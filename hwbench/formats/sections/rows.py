"""One row per candidate: its figures as strings, so that every format shows the same ones."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwbench.measurements.quantities import QUANTITIES
from hwbench.measurements.report import NotMeasuredError, Report
from hwbench.results.profile_results import CandidateResult, ProfileResult
from hwbench.stats.intervals import Estimate

_COLUMNS = ("accuracy", "accuracy_drop", "p50", "p90", "p99", "throughput", "size", "peak_memory")
_WHERE_KNOWN = ("energy",)

_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_TAG_WIDTH, _TAG_LINES = 22, 2


@dataclass(frozen=True)
class Row:
    """A candidate's figures.

    Attributes:
        short: the entry's name without its runtime.
        name: the same, with the runtime where it would be ambiguous without.
        tag: for a chart: the name in lines of some width, and the runtime below, where there are several.
        figures: by quantity.
        missing: why there is none, by quantity.
    """

    entry: CandidateResult
    short: str
    name: str
    tag: str
    figures: Mapping[str, Estimate]
    missing: Mapping[str, str]

    @property
    def verdict(self) -> str:
        """All verdicts in one word; empty where nothing was judged."""
        return self.entry.outcome if self.entry.report is not None and self.entry.verdicts else ""

    def value(self, quantity: str, notes: Mapping[str, int]) -> str:
        """The figure; "-" for a candidate that was not measured, "n/a [1]" where note 1 says why there is none."""
        if self.entry.report is None:
            return "-"
        if quantity not in self.figures:
            return f"n/a [{notes[self.missing[quantity]]}]"
        return show(quantity, self.figures[quantity].value)

    def interval(self, quantity: str) -> str:
        """As "[low, high]"; empty where there is none to show."""
        figure = self.figures.get(quantity)
        if figure is None or not QUANTITIES[quantity].interval:
            return ""
        places = _places(quantity, figure.value)
        return f"[{_fixed(quantity, figure.low, places)}, {_fixed(quantity, figure.high, places)}]"


def rows(field: ProfileResult) -> tuple[Row, ...]:
    """One per entry, in the field's order."""
    names = [_short(entry) for entry in field.candidates]
    runtimes = {entry.runtime for entry in field.candidates}
    return tuple(
        _row(entry, name, names.count(name) == 1, _tag(name, entry.runtime if len(runtimes) > 1 else ""))
        for entry, name in zip(field.candidates, names)
    )


def columns(table: Sequence[Row]) -> tuple[str, ...]:
    """The quantities that people are shown for every candidate; budgets on others show in the verdicts."""
    known = (name for name in _WHERE_KNOWN if any(name in row.figures for row in table))
    return (*_COLUMNS, *known)


def label(entry: CandidateResult) -> str:
    """Name a candidate with its precision and runtime, each said once: "int8 (onnxruntime)"."""
    name = entry.name if entry.precision in entry.name else f"{entry.name}, {entry.precision}"
    return name if entry.runtime in name else f"{name} ({entry.runtime})"


def notes(table: Sequence[Row]) -> dict[str, int]:
    """The reasons why figures of the columns are missing, numbered from 1 as they come up."""
    shown = columns(table)
    reasons = [row.missing[quantity] for row in table for quantity in shown if quantity in row.missing]
    return {reason: number for number, reason in enumerate(dict.fromkeys(reasons), 1)}


def heading(quantity: str, table: Sequence[Row]) -> str:
    """What stands over a column, without its unit: for the accuracy, its metric's name."""
    if quantity != "accuracy":
        return QUANTITIES[quantity].heading
    metrics = {row.entry.report.accuracy.metric for row in table if row.entry.report and row.entry.report.accuracy}
    return " or ".join(sorted(metrics)) or QUANTITIES[quantity].heading


def show(quantity: str, value: float) -> str:
    """A figure in the unit shown, without the unit: three significant digits, accuracy four decimals."""
    return _fixed(quantity, value, _places(quantity, value))


def _row(entry: CandidateResult, short: str, is_unique: bool, tag: str) -> Row:
    figures, missing = {}, {}
    if entry.report is not None:
        for quantity in QUANTITIES:
            try:
                figures[quantity] = _estimate(entry.report, quantity)
            except NotMeasuredError as reason:
                missing[quantity] = str(reason)
    return Row(entry, short, short if is_unique else label(entry), tag, figures, missing)


def _short(entry: CandidateResult) -> str:
    return entry.name.replace(f" ({entry.runtime})", "", 1)


def _tag(name: str, runtime: str) -> str:
    lines = textwrap.wrap(name, _TAG_WIDTH, max_lines=_TAG_LINES, placeholder=_ELLIPSIS)
    return "\n".join([*lines, *textwrap.wrap(runtime, _TAG_WIDTH, max_lines=1, placeholder=_ELLIPSIS)])


def _estimate(report: Report, quantity: str) -> Estimate:
    """As `Report.estimate`; a figure that is no finite number counts as not measured, too."""
    figure = report.estimate(quantity)
    if not all(map(math.isfinite, (figure.value, figure.low, figure.high))):
        raise NotMeasuredError(f"the {quantity} came out as {figure.value} [{figure.low}, {figure.high}]")
    return figure


def _places(quantity: str, value: float) -> int:
    if quantity.startswith("accuracy"):
        return 4  # as budgets are written, and the gate answers
    shown = abs(value * QUANTITIES[quantity].scale)
    return min(max(2 - math.floor(math.log10(shown)), 0), 6) if shown > 0 else 0


def _fixed(quantity: str, value: float, places: int) -> str:
    text = f"{value * QUANTITIES[quantity].scale:,.{places}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text  # no negative zero
