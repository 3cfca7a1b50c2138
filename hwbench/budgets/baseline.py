"""Comparison of a report with a baseline's report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hwbench.budgets import GATE_CONFIDENCE
from hwbench.budgets.budget import Budget
from hwbench.budgets.family_error import FamilyError
from hwbench.budgets.verdicts import Verdict, judge
from hwbench.measurements import accuracy
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.quantities import QUANTITIES
from hwbench.measurements.report import Report
from runtimes.errors import UsageError


def judge_report(
    report: Report,
    budgets: Sequence[Budget],
    baseline: Report | None = None,
    confidence: float = GATE_CONFIDENCE,
    error: FamilyError | None = None,
) -> tuple[Verdict, ...]:
    """Judge a report by budgets.

    With a baseline's report, relative budgets compare with it, and a drop of accuracy is the loss against it instead of
    the source, paired by sample.

    Raises:
        UsageError: the baseline cannot be compared with the report; for other reasons see `verdicts.judge`.
    """
    if baseline is not None:
        check_comparable(report, baseline, budgets)
        report = _paired(report, baseline)
    return judge(report, budgets, baseline, confidence, error)


def _paired(report: Report, baseline: Report) -> Report:
    """Put a baseline's accuracy in the place of the source's."""
    if report.accuracy is None:
        return report
    each = [_against(one, baseline.accuracy.each if baseline.accuracy else ()) for one in report.accuracy.each]
    return dataclasses.replace(report, accuracy=accuracy.joined(each))


def _against(ours: Accuracy, baseline: Sequence[Accuracy]) -> Accuracy:
    same = (one for one in baseline if (one.metric, one.data_sha256) == (ours.metric, ours.data_sha256))
    theirs = next(same, None)
    reference = dataclasses.replace(theirs, reference=None, flips=None) if theirs is not None else None
    return dataclasses.replace(ours, reference=reference, against="baseline", is_source=False, flips=None)


def check_comparable(report: Report, baseline: Report, budgets: Sequence[Budget]) -> None:
    """Refuse a baseline that a relative budget, or one on a drop of accuracy, cannot be judged against.

    Raises:
        UsageError: the baseline is of another model, profile, metric, kind of measurement, load or machine; says which.
    """

    def refuse(what: str, ours: object, theirs: object) -> None:
        raise UsageError(f"The baseline is of another {what} ({theirs}, not {ours}); compare like with like.")

    if report.model != baseline.model:
        refuse("model", report.model, baseline.model)
    if report.profile != baseline.profile:
        refuse("profile", report.profile, baseline.profile)
    relative = {budget.quantity for budget in budgets if budget.relative}
    compared = [each for each in budgets if each.quantity == "accuracy_drop" or (each.relative and each.is_accuracy)]
    for key in {budget.metric for budget in compared}:
        ours, theirs = (each.accuracy and each.accuracy.of(key) for each in (report, baseline))
        if ours and theirs and ours.metric != theirs.metric:
            refuse("metric", ours.metric, theirs.metric)
        if ours and theirs and ours.metric == "parity" and ours.data_sha256 != theirs.data_sha256:
            raise UsageError(
                "The accuracy of both is parity with their sources' outputs, and these differ; give --evaluation with "
                "labels to score both."
            )
        if ours and theirs and ours.data_sha256 != theirs.data_sha256:
            raise UsageError(
                "The baseline's accuracy was measured on other evaluation samples; give --evaluation to score both."
            )
    latency, baseline_latency = report.latency, baseline.latency
    of_machine = any(QUANTITIES[quantity].of_machine or quantity == "instructions" for quantity in relative)
    if "energy" in relative and latency and baseline_latency and latency.meters != baseline_latency.meters:
        refuse("meter", ", ".join(latency.meters) or "none", ", ".join(baseline_latency.meters) or "none")
    counted = (report.instructions, baseline.instructions)
    if "instructions" in relative and counted[0] and counted[1] and counted[0].by != counted[1].by:
        refuse("means of counting instructions", counted[0].by, counted[1].by)
    if of_machine and latency and baseline_latency:
        for name in ("scenario", "batch", "threads"):
            here, there = getattr(latency, name), getattr(baseline_latency, name)
            if here != there:
                refuse(name, here, there)
        for name in ("target_per_s", "workers", "batched"):
            here, there = getattr(latency.load, name, None), getattr(baseline_latency.load, name, None)
            if here != there:
                refuse(f"load, by its {name}", here, there)
    if of_machine:
        differing = report.machine.differences(baseline.machine)
        if differing:
            raise UsageError(
                f"The baseline was measured on another machine ({'; '.join(differing)}), so it cannot be "
                "compared; give the baseline's bundle, and both are measured here."
            )
