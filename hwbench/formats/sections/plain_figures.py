"""Figures of the selected candidates as plain numbers, for the services that keep them from run to run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hwbench.formats._escape import line
from hwbench.measurements.quantities import quantity_of
from hwbench.measurements.report import NotMeasuredError
from hwbench.results.profile_results import Results
from hwbench.stats.intervals import Estimate


@dataclass(frozen=True)
class PlainFigure:
    """One figure.

    Attributes:
        quantity: its name, such as "p90" or "accuracy[mae]".
        suffix: its unit as a suffix, such as "_ms"; empty if it is plain.
        lower_is_better: True for times, sizes and drops.
        device: description of the machine that measured it.
    """

    model: str
    profile: str
    quantity: str
    suffix: str
    estimate: Estimate
    lower_is_better: bool
    device: str


def plain_figures(results: Results) -> Iterator[PlainFigure]:
    """List the figures of each profile's selected candidate that were measured."""
    for result in results.profiles:
        selected = result.selected
        if selected is None or selected.report is None:
            continue
        report = selected.report
        for name in report.figures:
            try:
                found = report.estimate(name)
            except NotMeasuredError:
                continue
            quantity = quantity_of(name)
            is_lower = quantity.operators[0] == "<="
            if name.partition("[")[0] == "accuracy" and report.accuracy is not None:
                scored = report.accuracy.of(name.partition("[")[2].rstrip("]"))
                is_lower = scored is not None and not scored.scale.higher_is_better
            yield PlainFigure(
                line(result.model), line(result.profile), line(name), quantity.stored_suffix, found, is_lower,
                line(report.machine.board or report.machine.cpu),
            )  # fmt: skip
