"""The flow of `edgewright build`: export, search, choose, pack, and write the reports."""

from __future__ import annotations

import dataclasses
import functools
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from hwbench.budgets import energy_budgets
from hwbench.budgets.accuracy_limits import check_directions
from hwbench.budgets.default_limits import with_defaults
from hwbench.data import dataset
from hwbench.machine.identity import Machine
from hwbench.measurements import interleaved
from hwbench.metrics import Metric
from hwbench.progress import Tick, begin_stage, limit, say, staged_bar
from hwbench.results.profile_results import ProfileResult, Results
from hwbench.targets import Target
from hwbench.targets.local import LocalTarget
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.bundles.states import step_inputs
from runtimes.cache import Cache
from runtimes.npz import open_arrays
from runtimes.profile import HardwareProfile
from toolchain.calibration import table as tables
from toolchain.calibration.sample_factory import as_npz
from toolchain.calibration.single_steps import single_steps
from toolchain.candidates import source_recipe, unlabelled
from toolchain.candidates.build_cache import CachedTarget, open_cache
from toolchain.candidates.build_candidate import CandidateBuilder
from toolchain.candidates.candidate import Candidate, list_candidates, untried
from toolchain.candidates.other_sizes import resized_samples
from toolchain.candidates.scoring import choose_ranking_scorer, choose_scorer, metrics_of
from toolchain.candidates.source_limits import source_limits
from toolchain.candidates.thread_count import within_cores
from toolchain.candidates.unlabelled import Unlabelled
from toolchain.devices.confirm_on_device import accuracy_note, confirm, device_of
from toolchain.devices.device_match import device_match
from toolchain.devices.latency_forecasts import with_forecasts
from toolchain.packaging.pack import Contents
from toolchain.pipeline import preflight
from toolchain.pipeline.bundle_contents import bundle_contents, calibration_tensors
from toolchain.pipeline.repeatability import check_repeats
from toolchain.pipeline.report_entries import ReportedTrial, report_entry, report_trial, search_summary
from toolchain.pipeline.report_notes import (
    calibration_notes,
    data_dependent_notes,
    drift_notes,
    repair_notes,
    search_notes,
    size_notes,
)
from toolchain.pipeline.request import BuildRequest
from toolchain.pipeline.stages import OPENING, PACKING, REFERENCE, stages
from toolchain.pipeline.write_results import write_results
from toolchain.search.choose import JudgedTrial, choose, find_unsettled
from toolchain.search.search import search
from toolchain.search.time_limit import TimeLimit
from toolchain.search.trials import REFERENCE_RUNTIME, BuildContext
from toolchain.sources.open_source import is_onnx, open_source
from toolchain.sources.source_states import check_described, check_states, first_steps

_PROFILED_STEPS = 16  # of a model with states: where it is resized and profiled, and its work is counted
_TIMED_SAMPLES = 8  # inferences take them in turn, so that latency is not that of one input


def build(request: BuildRequest, target: Target | None = None) -> Results:
    """Export, search, choose, pack, and write the reports.

    Args:
        request: everything that the user asked for.
        target: measures bundles; this machine, if None.

    Returns:
        A result per profile. The files are in `request.out` by then.

    Raises:
        UsageError: the source, the data or an option is not usable; nothing was written.
        EdgewrightError: ONNX Runtime cannot run the source model, with which every candidate is compared.
        KeyboardInterrupt: Ctrl-C before there was anything to keep; nothing was written.
        OSError: a disk is full; nothing was written.
    """
    candidates = [
        (profile, list_candidates(profile, request.precisions, request.runtimes, request.threads, request.corrections))
        for profile in request.profiles
    ]
    preflight.check_candidates(candidates)
    preflight.check_samples(
        candidates, request.precisions, request.source, request.calibration, request.calibration_table
    )
    target = target or LocalTarget()
    machine = target.machine
    ahead = stages(request.source, candidates, machine, exhaustive=request.exhaustive)
    cache = open_cache(request.cache, fresh=request.fresh) if request.cache is not None else None
    with (
        tempfile.TemporaryDirectory(prefix="edgewright-") as folder,
        staged_bar(f"Building {request.name}", ahead) as tick,
    ):
        for warning in energy_budgets.unmetered_budgets(request.budgets, machine):
            say(warning)
        context = _open_context(request, Path(folder), machine, target, cache, tick)
        built = [_build_for(profile, listed, context, request) for profile, listed in candidates]
        results = write_results(built, request.out, context.builder.source_sha256)
    if cache is not None:
        cache.trim()
    return results


def _open_context(
    request: BuildRequest, work: Path, machine: Machine, target: Target, cache: Cache | None, tick: Tick
) -> BuildContext:
    """Open the source and the samples, and run the source, with which every candidate is compared."""
    uncached, target = target, CachedTarget(target, cache, machine) if cache is not None else target
    table = tables.read(request.calibration_table) if request.calibration_table else None
    files = _sample_files(request, work)
    observed, given, more, metrics = files.calibration, files.evaluation, files.unlabelled, files.metrics
    real = observed or given
    begin_stage(OPENING.format(source=request.source))
    first = first_steps(open_arrays(real), request.states) if real else None
    exported = work / "source.onnx"
    model = open_source(
        request.source, request.inputs, exported, first, request.outputs, request.output_rows, trusted=request.trusted
    )
    check_states(request.states, model)
    tick("exported the source")
    limit(request.time_limit_s)
    clock = TimeLimit(request.time_limit_s)
    read = functools.partial(dataset.read, inputs=model.inputs, states=request.states)
    calibration = read(observed, called=str(request.calibration)) if observed else None
    evaluation = read(given, labels=files.labelled, called=str(request.evaluation)) if given else None
    unlabelled_samples = read(more, called=str(request.unlabelled)) if more else None
    scorer = choose_scorer(model, evaluation, calibration, metrics, work, request.states)
    ranking = choose_ranking_scorer(model, calibration if given else scorer.samples, scorer, work)
    steps = single_steps(model, calibration, work / "calibration-steps.npz") if calibration else None
    begin_stage(REFERENCE)
    timed = interleaved.subset(scorer.samples, scorer.samples.first(_TIMED_SAMPLES, sys.maxsize), work / "timed.npz")
    inferences = single_steps(model, timed, work / "timed-steps.npz", _PROFILED_STEPS)
    limits = source_limits(model, inferences, filter(None, (calibration, evaluation)))
    builder = CandidateBuilder(
        request.name, model, steps, work, table, cache, request.ranges, request.states, limits, machine
    )
    reference = Candidate(builder.as_is, REFERENCE_RUNTIME, RuntimeSettings(0, {"spinning": "0"}))
    bundle = builder.make(reference, request.profiles[0]).bundle
    check_repeats(model, bundle, timed.file, uncached)
    outputs = interleaved.outputs(bundle, scorer.samples.file, target)
    scorer = scorer.with_reference(outputs)
    if given:  # else the ranking samples are the first of these
        outputs = interleaved.outputs(bundle, ranking.samples.file, target)
    ranking = ranking.with_reference({name: rows[list(range(ranking.samples.n))] for name, rows in outputs.items()})
    tick("ran the source")
    resized = resized_samples(model, inferences if request.states else scorer.samples, work, request.states)
    shared = (builder, scorer, ranking, timed.file, machine, target, tick)
    context = BuildContext(*shared, clock, resized, inferences.file, calibration=calibration)
    if unlabelled_samples is None or scorer.reference is None:
        return context
    budgets, _ = with_defaults(request.budgets, scorer.reference)
    further = Unlabelled(
        unlabelled_samples,
        metrics,
        budgets,
        request.confidence,
        lambda file: interleaved.outputs(bundle, file, target),
    )
    return dataclasses.replace(context, unlabelled=further)


@dataclasses.dataclass(frozen=True)
class _SampleFiles:
    """The user's samples, as .npz files, and the metrics that are computed on those for evaluation.

    Attributes:
        labelled: the metrics need labels.
    """

    calibration: Path | None
    evaluation: Path | None
    unlabelled: Path | None
    metrics: tuple[Metric, ...]
    labelled: bool


def _sample_files(request: BuildRequest, work: Path) -> _SampleFiles:
    """Write all samples to files, and check their names and metrics before the source is opened.

    Raises:
        UsageError: a file, a metric or a budget does not fit the others.
    """
    evaluation = as_npz(request.evaluation, work / "evaluation.npz") if request.evaluation else None
    metrics = metrics_of(evaluation, request.metrics)
    labelled = metrics[0].name != "parity"
    preflight.check_metrics([metric.name for metric in metrics], request.states)
    more = as_npz(request.unlabelled, work / "unlabelled.npz") if request.unlabelled else None
    if more:
        unlabelled.check_metrics(metrics, labelled=evaluation is not None and labelled)
    check_directions(request.budgets, [metric.scale for metric in metrics])
    calibration = as_npz(request.calibration, work / "calibration.npz") if request.calibration else None
    described = () if is_onnx(Path(request.source)) else request.inputs
    check_described(request.states, described)
    described = step_inputs(described, request.states)
    if calibration:
        dataset.check_names(calibration, described, called=str(request.calibration))
    if evaluation:
        dataset.check_names(evaluation, described, labels=labelled, called=str(request.evaluation))
    if more:
        dataset.check_names(more, described, called=str(request.unlabelled))
    return _SampleFiles(calibration, evaluation, more, metrics, labelled)


def _build_for(
    profile: HardwareProfile, candidates: Sequence[Candidate], context: BuildContext, request: BuildRequest
) -> tuple[ProfileResult, Contents | None]:
    """Search for one profile.

    Returns:
        Its result, and the contents of its bundle if a candidate was selected.
    """
    assert context.scorer.reference is not None
    budgets, notes = with_defaults(request.budgets, context.scorer.reference)
    match = device_match(profile, context.machine)
    candidates = source_recipe.with_source(candidates, context.builder.as_is)
    if match.is_here:
        candidates, threads_note = within_cores(candidates, context.machine.cores)
        notes = (*notes, *threads_note)
    full, exhaustive = request.sampling, request.exhaustive
    asked = request.confidence
    found = search(
        candidates, profile, budgets, context, full, timed=match.is_here, exhaustive=exhaustive, confidence=asked
    )
    report = functools.partial(
        report_trial, profile=profile, match=match, budgets=budgets, context=context, confidence=asked
    )
    trials, device = found.trials, device_of(profile, context.machine)
    if device is not None:
        trials = confirm(trials, lambda some: choose(_running(map(report, some))), device, context)
    reported = {trial.name: report(trial) for trial in trials}
    judged = _running(reported.values())
    decisions = choose(judged)
    selected = next((one for one in trials if one.name in decisions and decisions[one.name].is_selected), None)
    entries = [report_entry(one, reported[one.name], decisions.get(one.name), context) for one in trials]
    summary = search_summary(trials, context)
    notes = (
        *notes,
        *untried(candidates),
        *preflight.unused_ranges(profile, candidates, request.ranges),
        *source_recipe.note(context.builder.as_is),
        *repair_notes(candidates, context),
        *((context.scorer.note,) if context.scorer.note else ()),
        *data_dependent_notes(context),
        *calibration_notes(trials, context),
        *drift_notes(trials, context),
        *size_notes(context),
        *match.caveats,
        *accuracy_note(profile, selected, context.machine),
        *energy_budgets.unmetered_budgets(budgets, context.machine),
        *search_notes(summary),
        *found.defects,
    )
    result = ProfileResult(
        request.name,
        profile.name,
        budgets,
        tuple(entries),
        notes,
        search=summary,
        confidence=asked,
        unsettled=find_unsettled(judged, decisions, asked),
    )
    result = with_forecasts(result, profile, match)
    begin_stage(PACKING.format(profile=profile.name))
    if selected is None:
        return result, None
    tensors = calibration_tensors(request, context, selected)
    return result, bundle_contents(result, selected, profile, context, tensors, device)


def _running(reported: Iterable[ReportedTrial | None]) -> list[JudgedTrial]:
    """List the judged trials that may be selected."""
    return [one.judged for one in reported if one is not None and one.judged.trial.is_running]
