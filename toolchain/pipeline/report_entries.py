"""The report's entries: one per candidate of a search, with its figures, its verdicts and the reason for its status."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import judge
from hwbench.measurements.report import Report
from hwbench.results.profile_results import CandidateResult, Screening, Search, Status
from hwbench.wording import kept
from runtimes import samples
from runtimes.codec import encode
from runtimes.errors import EdgewrightError
from runtimes.npz import open_arrays
from runtimes.profile import HardwareProfile
from toolchain.candidates.build_cache import CachedTarget
from toolchain.candidates.candidate import Candidate
from toolchain.graphs.product_precision import by_precision
from toolchain.models.onnx_model import load_ir
from toolchain.pipeline.device_match import DeviceMatch
from toolchain.pipeline.machine_peaks import with_peaks
from toolchain.recipes.recipe import Recipe
from toolchain.search.trials import BuildContext, Trial


def repair_notes(plan: Sequence[Candidate], context: BuildContext) -> list[str]:
    """List the nodes that a repair left in the source's precision, a sentence per candidate."""
    return [
        f"{candidate.name} leaves {', '.join(kept)} as in the source, since ONNX Runtime refused it otherwise."
        for candidate in plan
        if (kept := context.builder.kept(candidate.recipe))
    ]


def report_entry(
    trial: Trial, profile: HardwareProfile, place: DeviceMatch, budgets: Sequence[Budget], context: BuildContext
) -> CandidateResult:
    """Describe one trial for the report: its status, the reason, its figures and the verdict on each budget."""
    candidate = trial.candidate
    names = (candidate.name, candidate.recipe.precision, candidate.runtime)
    settings = candidate.settings
    recipe, screening = encode(candidate.recipe), _screening(trial)
    if trial.failure is not None or trial.artifact is None:
        return CandidateResult(*names, status="not built", reason=trial.failure or "", recipe=recipe, settings=settings)
    reason = "; ".join(filter(None, (trial.rejected, trial.behind, trial.remark, kept(recipe))))
    if trial.rejected is not None and trial.accuracy is None:
        return CandidateResult(*names, "rejected", reason, recipe=recipe, screening=screening, settings=settings)
    unscored = {} if trial.accuracy else {"accuracy": "the search ended before it was scored"}
    untimed = {} if trial.latency else {"latency": "not measured" if place.is_here else place.caveats[0]}
    report = Report(
        model=context.builder.name,
        profile=profile.name,
        artifact=trial.artifact,
        machine=context.machine,
        latency=trial.latency,
        accuracy=trial.accuracy,
        unmeasured={**unscored, **untimed},
        candidate=candidate.name,
    )
    report = _bounded(report, candidate.recipe, context)
    graph = load_ir(context.builder.variant(candidate.recipe).path)
    layers = by_precision(graph, candidate.recipe.keep_in) if trial.artifact.size_bytes else {}
    verdicts = judge(report, budgets)
    status: Status = "measured" if trial.rejected is None else "rejected"
    return CandidateResult(*names, status, reason, report, verdicts, recipe, layers, screening, settings)


def _bounded(report: Report, recipe: Recipe, context: BuildContext) -> Report:
    """With the model's work, and what this machine can do at most: measured now, if it never was and there is time."""
    try:
        feeds = next(samples.feeds(report.artifact.inputs, open_arrays(context.timed)))
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
    """Count what the search made, tried, scored and reused."""
    return Search(
        looks=sum(trial.accuracy is not None for trial in trials),
        made=sum(trial.artifact is not None for trial in trials),
        tried=sum(bool(trial.ranked or trial.blocks or trial.accuracy or trial.latency) for trial in trials),
        reused=context.target.reused if isinstance(context.target, CachedTarget) else 0,
        stopped=context.clock.stopped,
    )


def search_notes(found: Search) -> tuple[str, ...]:
    """What a reader should know of how the search went."""
    notes = [f"{found.stopped}; what it had not tried by then may be better."] if found.stopped else []
    if found.reused:
        notes.append(
            f"Of the latency measurements, an earlier build here made {found.reused:,}; --fresh measures anew."
        )
    return tuple(notes)
