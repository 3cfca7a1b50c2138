"""Entries of the report, one per candidate that was tried, and the count of what the search did."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from hwbench.budgets import BUILD_CONFIDENCE
from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import judge
from hwbench.measurements.report import Report
from hwbench.results.profile_results import ENDED_BEFORE_TIMING, CandidateResult, Screening, Search
from hwbench.wording import kept
from runtimes import samples
from runtimes.codec import encode
from runtimes.errors import EdgewrightError
from runtimes.npz import open_arrays
from runtimes.profile import HardwareProfile
from toolchain.candidates.build_cache import CachedTarget
from toolchain.devices.device_match import DeviceMatch
from toolchain.graphs.product_precision import by_precision
from toolchain.models.onnx_model import load_ir
from toolchain.pipeline.machine_peaks import with_peaks
from toolchain.recipes.recipe import Recipe
from toolchain.search.choose import Decision, JudgedTrial
from toolchain.search.trials import BuildContext, Trial


@dataclasses.dataclass(frozen=True)
class ReportedTrial:
    """A trial that was scored or measured, with its report."""

    judged: JudgedTrial
    report: Report


def report_trial(
    trial: Trial,
    profile: HardwareProfile,
    match: DeviceMatch,
    budgets: Sequence[Budget],
    context: BuildContext,
    confidence: float = BUILD_CONFIDENCE,
) -> ReportedTrial | None:
    """Judge a trial by its figures; None if it was not built, or was rejected before it was scored."""
    if trial.failure is not None or trial.artifact is None or (trial.rejected is not None and trial.accuracy is None):
        return None
    unscored = {} if trial.accuracy else {"accuracy": "the search ended before it was scored"}
    why_untimed = ENDED_BEFORE_TIMING if context.clock.stopped else "not measured"
    untimed = {} if trial.latency else {"latency": why_untimed if match.is_here else match.caveats[0]}
    report = Report(
        model=context.builder.name,
        profile=profile.name,
        artifact=trial.artifact,
        machine=context.machine,
        latency=trial.latency,
        accuracy=trial.accuracy,
        unmeasured={**unscored, **untimed},
        candidate=trial.name,
    )
    report = _with_work(report, trial.candidate.recipe, context)
    return ReportedTrial(JudgedTrial(trial, judge(report, budgets, confidence=confidence)), report)


def report_entry(
    trial: Trial, reported: ReportedTrial | None, decision: Decision | None, context: BuildContext
) -> CandidateResult:
    """Describe a trial for the report: its status, the reason, its figures and the verdict on each budget.

    Args:
        trial: the trial.
        reported: its report; None if `report_trial` returned None.
        decision: what `choose` decided, for a trial that could be selected; None for others.
        context: the parts that candidates share.
    """
    candidate, recipe = trial.candidate, encode(trial.candidate.recipe)
    names = (candidate.name, candidate.recipe.precision, candidate.runtime)
    if trial.failure is not None or trial.artifact is None:
        reason = trial.failure or ""
        return CandidateResult(*names, "not built", reason, recipe=recipe, settings=candidate.settings)
    reasons = (decision.reason if decision else "", trial.rejected, trial.behind, trial.remark, kept(recipe))
    entry = CandidateResult(
        *names,
        status=decision.status if decision else "rejected",
        reason="; ".join(filter(None, reasons)),
        recipe=recipe,
        screening=_screening(trial),
        settings=candidate.settings,
    )
    if reported is None:
        return entry
    graph = load_ir(context.builder.variant(candidate.recipe).path)
    layers = by_precision(graph, candidate.recipe.keep_in) if trial.artifact.size_bytes else {}
    return dataclasses.replace(entry, report=reported.report, verdicts=reported.judged.verdicts, layers=layers)


def _with_work(report: Report, recipe: Recipe, context: BuildContext) -> Report:
    """Add the model's work and this machine's peaks; unknown peaks are measured now if there is time left."""
    try:
        arrays, inputs = open_arrays(context.inferences), report.artifact.inputs
        middle = samples.count(inputs, arrays) // 2 if report.artifact.states else 0  # a cache is half full there
        feeds = next(itertools.islice(samples.feeds(inputs, arrays), middle, None))
        artifact = dataclasses.replace(report.artifact, work=context.builder.work(recipe, feeds))
        report = dataclasses.replace(report, artifact=artifact)
    except EdgewrightError as error:
        report = dataclasses.replace(report, unmeasured={**report.unmeasured, "work": str(error)})
    with context.clock.phase():
        return with_peaks(report, recall_only=context.clock.is_over())
    return with_peaks(report, recall_only=True)


def _screening(trial: Trial) -> Screening | None:
    rank, p50_ms = trial.ranked, trial.median_ms
    if rank is None:
        return Screening(p50_ms=p50_ms) if p50_ms is not None else None
    return Screening(rank.metric, rank.value, rank.n, p50_ms, rank.higher_is_better)


def search_summary(trials: Sequence[Trial], context: BuildContext) -> Search:
    """Count the candidates that the search made, tried and scored, and the measurements that it reused."""
    return Search(
        looks=sum(trial.accuracy is not None for trial in trials),
        made=sum(trial.artifact is not None for trial in trials),
        tried=sum(bool(trial.ranked or trial.blocks or trial.accuracy or trial.latency) for trial in trials),
        reused=context.target.reused if isinstance(context.target, CachedTarget) else 0,
        stopped=context.clock.stopped,
    )
