"""The main job: a trained model in, a measured, packed, gated bundle per profile out."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hwbench.budgets import energy_budgets
from hwbench.budgets.budget import Budget, parse
from hwbench.budgets.verdicts import check_directions
from hwbench.data import dataset
from hwbench.machine.identity import Machine, this_machine
from hwbench.measurements import interleaved
from hwbench.progress import Tick, begin_stage, limit, say, staged_bar
from hwbench.results.profile_results import ProfileResult, Results
from hwbench.targets import Target
from hwbench.targets.local import LocalTarget
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.cache import Cache
from runtimes.npz import open_arrays
from runtimes.profile import HardwareProfile
from toolchain.calibration import table as tables
from toolchain.calibration.sample_factory import as_npz
from toolchain.candidates import source_recipe
from toolchain.candidates.build_cache import CachedTarget, open_cache
from toolchain.candidates.build_candidate import CandidateBuilder
from toolchain.candidates.candidate import Candidate, plan, untried
from toolchain.candidates.choose import choose
from toolchain.candidates.scoring import choose_ranking_scorer, choose_scorer, metric_of
from toolchain.packaging.pack import Contents
from toolchain.pipeline import preflight
from toolchain.pipeline.bundle_contents import about, bundle_contents, calibration_tensors
from toolchain.pipeline.device_match import device_match
from toolchain.pipeline.report_entries import repair_notes, report_entry, search_notes, search_summary
from toolchain.pipeline.request import BuildRequest
from toolchain.pipeline.stages import OPENING, PACKING, REFERENCE, stages
from toolchain.pipeline.write_results import write_results
from toolchain.search.search import search
from toolchain.search.time_limit import TimeLimit
from toolchain.search.trials import REFERENCE_RUNTIME, BuildContext
from toolchain.sources.open_source import is_onnx, open_source

DEFAULT_BUDGET = "accuracy_drop<=0.01"
_TIMED_SAMPLES = 8


def build(request: BuildRequest, target: Target | None = None) -> Results:
    """Export, search, choose, pack, and write the reports.

    Args:
        request: what to build.
        target: where to measure; this machine, if None.

    Returns:
        The fields, one per profile. Files are in `request.out` by then.

    Raises:
        UsageError: the source, the data or an option is not usable; nothing was written.
        EdgewrightError: the source model cannot be run on ONNX Runtime, which everything is compared with.
        KeyboardInterrupt: Ctrl-C before there was anything to keep; nothing was written.
        OSError: a disk is full; nothing was written.
    """
    plans = [
        (
            profile,
            plan(profile, request.precisions, request.runtimes, request.threads, request.corrections),
        )
        for profile in request.profiles
    ]
    preflight.check_candidates(plans)
    preflight.check_samples(plans, request.precisions, request.source, request.calibration, request.calibration_table)
    machine = this_machine()
    ahead = stages(request.source, plans, machine, exhaustive=request.exhaustive)
    cache = open_cache(request.cache, fresh=request.fresh) if request.cache is not None else None
    with (
        tempfile.TemporaryDirectory(prefix="edgewright-") as folder,
        staged_bar(f"Building {request.name}", ahead) as tick,
    ):
        for doubt in energy_budgets.unmetered_budgets(request.budgets, machine):
            say(doubt)
        context = _open_bench(request, Path(folder), machine, target or LocalTarget(), cache, tick)
        built = [_build_for(profile, plan, context, request) for profile, plan in plans]
        results = write_results(built, request.out, context.builder.source_sha256)
    if cache is not None:
        cache.trim()
    return results


def _open_bench(
    request: BuildRequest, work: Path, machine: Machine, target: Target, cache: Cache | None, tick: Tick
) -> BuildContext:
    target = CachedTarget(target, cache, machine) if cache is not None else target
    metric = metric_of(request.evaluation, request.metric)
    check_directions(request.budgets, metric.name, metric.higher_is_better, metric.bounds)
    table = tables.read(request.calibration_table) if request.calibration_table else None
    called = str(request.calibration)
    observed = as_npz(request.calibration, work) if request.calibration else None
    described = () if is_onnx(Path(request.source)) else request.inputs  # of an ONNX file they may be its mistake
    if observed:
        dataset.check_names(observed, described, called=called)
    if request.evaluation:
        dataset.check_names(request.evaluation, described, labels=metric.name != "parity")
    real = observed or request.evaluation
    begin_stage(OPENING.format(source=request.source))
    model = open_source(request.source, request.inputs, work / "source.onnx", open_arrays(real) if real else None)
    tick("exported the source")
    calibration = dataset.read(observed, model.inputs, called=called) if observed else None
    scorer = choose_scorer(model, request.evaluation, calibration, metric, work)
    ranking = choose_ranking_scorer(model, calibration, scorer, work)
    builder = CandidateBuilder(request.name, model, calibration, work, table, cache, request.ranges)
    begin_stage(REFERENCE)
    reference = Candidate(builder.as_is, REFERENCE_RUNTIME, RuntimeSettings(threads=0))
    bundle = builder.make(reference, request.profiles[0]).bundle
    scorer = scorer.with_reference(interleaved.outputs(bundle, scorer.samples.file, target))
    ranking = ranking.with_reference(interleaved.outputs(bundle, ranking.samples.file, target))
    timed = interleaved.subset(
        scorer.samples, range(about(_TIMED_SAMPLES, model.inputs, scorer.samples)), work / "timed.npz"
    )
    tick("ran the source")
    limit(request.time_limit_s)
    return BuildContext(builder, scorer, ranking, timed.file, machine, target, tick, TimeLimit(request.time_limit_s))


def _build_for(
    profile: HardwareProfile, plan: Sequence[Candidate], context: BuildContext, request: BuildRequest
) -> tuple[ProfileResult, Contents | None]:
    """A profile's field, and what goes into the bundle of the chosen candidate, if one was chosen."""
    budgets, notes = _with_default(request.budgets)
    place = device_match(profile, context.machine)
    plan = source_recipe.settle(plan, context.builder.as_is)
    found = search(plan, profile, budgets, context, request.plan, timed=place.is_here, exhaustive=request.exhaustive)
    trials = found.trials
    behind = {trial.name for trial in trials if trial.behind}
    entries = choose([report_entry(trial, profile, place, budgets, context) for trial in trials], behind)
    notes = (*notes, *untried(plan), *preflight.unused_ranges(profile, plan, request.ranges))
    notes = (*notes, *source_recipe.note(context.builder.as_is), *repair_notes(plan, context))
    notes = (*notes, *((context.scorer.note,) if context.scorer.note else ()), *place.caveats)
    how = search_summary(trials, context)
    notes = (*notes, *energy_budgets.unmetered_budgets(budgets, context.machine), *search_notes(how), *found.defects)
    result = ProfileResult(request.name, profile.name, budgets, entries, notes, search=how)
    selected = next((trial for trial, entry in zip(trials, entries) if entry is result.selected), None)
    begin_stage(PACKING.format(profile=profile.name))
    return result, bundle_contents(
        result, selected, profile, context, calibration_tensors(request, context, selected)
    ) if selected else None


def _with_default(budgets: tuple[Budget, ...]) -> tuple[tuple[Budget, ...], tuple[str, ...]]:
    if any(budget.quantity.startswith("accuracy") for budget in budgets):
        return budgets, ()
    note = f"No budget limits the accuracy, so {DEFAULT_BUDGET} was used; give one with --budget."
    return (*budgets, dataclasses.replace(parse(DEFAULT_BUDGET), is_default=True)), (note,)
