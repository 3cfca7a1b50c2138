"""The main job: a trained model in, a measured, packed, gated bundle per profile out."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwbench.budgets import energy_budgets
from hwbench.budgets.budget import Budget, parse
from hwbench.budgets.verdicts import check_directions, judge
from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from hwbench.data.lazy_npz import open_arrays
from hwbench.machine.identity import Machine, this_machine
from hwbench.measurements import interleaved
from hwbench.measurements.report import Report
from hwbench.progress import Tick, course, limit, phase, say
from hwbench.results import profile_results
from hwbench.results.profile_results import Entry, Field, Results, Screening, Search, Status
from hwbench.targets import Target
from hwbench.targets.local import LocalTarget
from hwbench.wording import kept
from runtimes import samples
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.codec import encode
from runtimes.errors import EdgewrightError
from runtimes.profile import HardwareProfile
from runtimes.sampling.closed_loop import SamplingPlan
from runtimes.tensors import Array, TensorSpec
from toolchain.calibration import table as tables
from toolchain.calibration.sample_factory import as_npz
from toolchain.candidates import candidate as candidates
from toolchain.candidates import source_recipe
from toolchain.candidates.build_cache import Cache, CachedTarget
from toolchain.candidates.build_candidate import Workshop
from toolchain.candidates.candidate import Candidate
from toolchain.candidates.choose import choose
from toolchain.candidates.scoring import metric_of, plan_ranking, plan_trial
from toolchain.engines.shape_ranges import DimensionRanges
from toolchain.graphs.product_precision import by_precision
from toolchain.models.onnx_model import load_ir
from toolchain.packaging.pack import Contents
from toolchain.pipeline import preflight
from toolchain.pipeline.device_match import Standing, standing
from toolchain.pipeline.machine_peaks import with_ceilings
from toolchain.pipeline.stages import OPENING, PACKING, REFERENCE, stages
from toolchain.pipeline.write_results import write_results
from toolchain.recipes.recipe import Recipe
from toolchain.search.attempts import REFERENCE_RUNTIME, Attempt, Bench
from toolchain.search.search import search
from toolchain.search.time_limit import Clock
from toolchain.sources.open_source import is_onnx, open_source

DEFAULT_BUDGET = "accuracy_drop<=0.01"
_GOLDEN_SAMPLES = 4
_TIMED_SAMPLES = 8
_SEEN_SAMPLES = 64


@dataclass(frozen=True)
class BuildRequest:
    """Everything that `edgewright build` is told.

    Attributes:
        source: a file, or MODULE:FACTORY.
        name: the model's name, which bundles are named after.
        metric: a metric's name, or FILE.py:FUNCTION; None for top1 with labels, parity without.
        profiles: one bundle is made for each.
        calibration: an .npz, or FILE.py:FACTORY.
        calibration_table: ranges for static int8, in place of observing the samples.
        precisions: what to try; all there are, if empty.
        runtimes: where to try it; all that the profile lists, if empty.
        corrections: what recovers int8's accuracy, in order.
        threads: in place of the profile's.
        plan: how long each measuring process goes on.
        ranges: sizes of dynamic dimensions, for engines; once per optimization profile.
        time_limit_s: how long the search may go on; what it has by then is packed.
        cache: a folder for what later builds can use again; None for no cache.
        fresh: use nothing that earlier builds left there.
        exhaustive: measure every planned candidate well, and search no further.
    """

    source: str
    name: str
    out: Path
    profiles: tuple[HardwareProfile, ...]
    inputs: tuple[TensorSpec, ...] = ()
    calibration: Path | None = None
    calibration_table: Path | None = None
    evaluation: Path | None = None
    metric: str | None = None
    precisions: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    corrections: tuple[str, ...] = candidates.DEFAULT_CORRECTIONS
    budgets: tuple[Budget, ...] = ()
    threads: int | None = None
    plan: SamplingPlan = dataclasses.field(default_factory=SamplingPlan)
    ranges: tuple[DimensionRanges, ...] = ()
    time_limit_s: float | None = None
    cache: Path | None = None
    fresh: bool = False
    exhaustive: bool = False


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
            candidates.plan(profile, request.precisions, request.runtimes, request.threads, request.corrections),
        )
        for profile in request.profiles
    ]
    preflight.check_candidates(plans)
    preflight.check_samples(plans, request.precisions, request.source, request.calibration, request.calibration_table)
    machine = this_machine()
    ahead = stages(request.source, plans, machine, exhaustive=request.exhaustive)
    cache = Cache(request.cache, request.fresh) if request.cache is not None else None
    with (
        tempfile.TemporaryDirectory(prefix="edgewright-") as folder,
        course(f"Building {request.name}", ahead) as tick,
    ):
        for doubt in energy_budgets.unjudged(request.budgets, machine):
            say(doubt)
        bench = _open_bench(request, Path(folder), machine, target or LocalTarget(), cache, tick)
        built = [_build_for(profile, plan, bench, request) for profile, plan in plans]
        results = write_results(built, request.out, bench.workshop.source_sha256)
    if cache is not None:
        cache.trim()
    return results


def _open_bench(
    request: BuildRequest, work: Path, machine: Machine, target: Target, cache: Cache | None, tick: Tick
) -> Bench:
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
    phase(OPENING.format(source=request.source))
    model = open_source(request.source, request.inputs, work / "source.onnx", open_arrays(real) if real else None)
    tick("exported the source")
    calibration = dataset.read(observed, model.inputs, called=called) if observed else None
    trial = plan_trial(model, request.evaluation, calibration, metric, work)
    ranking = plan_ranking(model, calibration, trial, work)
    workshop = Workshop(request.name, model, calibration, work, table, cache, request.ranges)
    phase(REFERENCE)
    reference = Candidate(workshop.as_is, REFERENCE_RUNTIME, RuntimeSettings(threads=0))
    bundle = workshop.make(reference, request.profiles[0]).bundle
    trial = trial.with_reference(interleaved.outputs(bundle, trial.samples.file, target))
    ranking = ranking.with_reference(interleaved.outputs(bundle, ranking.samples.file, target))
    timed = interleaved.subset(
        trial.samples, range(_some(_TIMED_SAMPLES, model.inputs, trial.samples)), work / "timed.npz"
    )
    tick("ran the source")
    limit(request.time_limit_s)
    return Bench(workshop, trial, ranking, timed.file, machine, target, tick, Clock(request.time_limit_s))


def _build_for(
    profile: HardwareProfile, plan: Sequence[Candidate], bench: Bench, request: BuildRequest
) -> tuple[Field, Contents | None]:
    """A profile's field, and what goes into the bundle of the chosen candidate, if one was chosen."""
    budgets, notes = _with_default(request.budgets)
    place = standing(profile, bench.machine)
    plan = source_recipe.settle(plan, bench.workshop.as_is)
    found = search(plan, profile, budgets, bench, request.plan, timed=place.is_here, exhaustive=request.exhaustive)
    attempts = found.attempts
    behind = {tried.name for tried in attempts if tried.behind}
    entries = choose([_entry(tried, profile, place, budgets, bench) for tried in attempts], behind)
    notes = (*notes, *candidates.untried(plan), *preflight.unused_ranges(profile, plan, request.ranges))
    notes = (*notes, *source_recipe.note(bench.workshop.as_is), *_mends(plan, bench))
    notes = (*notes, *((bench.trial.note,) if bench.trial.note else ()), *place.caveats)
    how = _search(attempts, bench)
    notes = (*notes, *energy_budgets.unjudged(budgets, bench.machine), *_said(how), *found.defects)
    result = Field(request.name, profile.name, budgets, entries, notes, search=how)
    chosen = next((tried for tried, entry in zip(attempts, entries) if entry is result.chosen), None)
    phase(PACKING.format(profile=profile.name))
    return result, _contents(result, chosen, profile, bench, _seen(request, bench, chosen)) if chosen else None


def _mends(plan: Sequence[Candidate], bench: Bench) -> list[str]:
    return [
        f"{candidate.name} leaves {', '.join(kept)} as in the source, since ONNX Runtime refused it otherwise."
        for candidate in plan
        if (kept := bench.workshop.kept(candidate.recipe))
    ]


def _entry(tried: Attempt, profile: HardwareProfile, place: Standing, budgets: Sequence[Budget], bench: Bench) -> Entry:
    candidate = tried.candidate
    names = (candidate.name, candidate.recipe.precision, candidate.runtime)
    settings = candidate.settings
    recipe, screening = encode(candidate.recipe), _screening(tried)
    if tried.failure is not None or tried.artifact is None:
        return Entry(*names, status="skipped", reason=tried.failure or "", recipe=recipe, settings=settings)
    reason = "; ".join(filter(None, (tried.dropped, tried.behind, tried.remark, kept(recipe))))
    if tried.dropped is not None and tried.accuracy is None:
        return Entry(*names, "dropped", reason, recipe=recipe, screening=screening, settings=settings)
    unscored = {} if tried.accuracy else {"accuracy": "the search ended before it was scored"}
    untimed = {} if tried.latency else {"latency": "not measured" if place.is_here else place.caveats[0]}
    report = Report(
        model=bench.workshop.name,
        profile=profile.name,
        artifact=tried.artifact,
        machine=bench.machine,
        latency=tried.latency,
        accuracy=tried.accuracy,
        unmeasured={**unscored, **untimed},
        candidate=candidate.name,
    )
    report = _bounded(report, candidate.recipe, bench)
    graph = load_ir(bench.workshop.variant(candidate.recipe).path)
    layers = by_precision(graph, candidate.recipe.keep_in) if tried.artifact.size_bytes else {}
    verdicts = judge(report, budgets)
    status: Status = "measured" if tried.dropped is None else "dropped"
    return Entry(*names, status, reason, report, verdicts, recipe, layers, screening, settings)


def _bounded(report: Report, recipe: Recipe, bench: Bench) -> Report:
    """With the model's work, and what this machine can do at most: measured now, if it never was and there is time."""
    try:
        feeds = next(samples.feeds(report.artifact.inputs, open_arrays(bench.timed)))
        artifact = dataclasses.replace(report.artifact, work=bench.workshop.work(recipe, feeds))
        report = dataclasses.replace(report, artifact=artifact)
    except EdgewrightError as error:
        report = dataclasses.replace(report, unmeasured={**report.unmeasured, "work": str(error)})
    with bench.clock.phase():
        return with_ceilings(report, recall_only=bench.clock.is_over())
    return with_ceilings(report, recall_only=True)


def _screening(tried: Attempt) -> Screening | None:
    rank, p50_ms = tried.ranked, tried.median_ms
    if rank is None:
        return Screening(p50_ms=p50_ms) if p50_ms is not None else None
    return Screening(rank.metric, rank.value, rank.n, p50_ms, rank.higher_is_better)


def _search(attempts: Sequence[Attempt], bench: Bench) -> Search:
    return Search(
        looks=sum(tried.accuracy is not None for tried in attempts),
        made=sum(tried.artifact is not None for tried in attempts),
        tried=sum(bool(tried.ranked or tried.blocks or tried.accuracy or tried.latency) for tried in attempts),
        reused=bench.target.reused if isinstance(bench.target, CachedTarget) else 0,
        stopped=bench.clock.stopped,
    )


def _said(found: Search) -> tuple[str, ...]:
    """What a reader should know of how the search went."""
    notes = [f"{found.stopped}; what it had not tried by then may be better."] if found.stopped else []
    if found.reused:
        notes.append(
            f"Of the latency measurements, an earlier build here made {found.reused:,}; --fresh measures anew."
        )
    return tuple(notes)


def _seen(request: BuildRequest, bench: Bench, chosen: Attempt) -> dict[str, Array]:
    """Inputs and outputs that a device's own are to be compared with; none, where all samples are random."""
    if chosen.artifact is None or (request.calibration is None and request.evaluation is None):
        return {}
    data = bench.workshop.calibration or bench.trial.samples
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        some = range(_some(_SEEN_SAMPLES, chosen.artifact.inputs, data))
        subset = interleaved.subset(data, some, Path(folder, "seen.npz"))
        outputs = interleaved.outputs(chosen.bundle, subset.file, bench.target)
        return {**{name: array[:] for name, array in subset.arrays.items()}, **outputs}


def _contents(
    result: Field, chosen: Attempt, profile: HardwareProfile, bench: Bench, seen: dict[str, Array]
) -> Contents:
    assert chosen.artifact is not None
    assert result.chosen is not None and result.chosen.report is not None
    data = bench.trial.samples
    n = _some(_GOLDEN_SAMPLES, chosen.artifact.inputs, data)
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        golden = interleaved.subset(data, range(n), Path(folder, "golden.npz"))
        outputs = interleaved.outputs(chosen.bundle, golden.file, bench.target)
    return Contents(
        model=bench.workshop.name,
        profile=profile,
        artifact=result.chosen.report.artifact,
        recipe=chosen.candidate.recipe,
        golden_inputs={spec.name: golden.arrays[spec.name][:] for spec in chosen.artifact.inputs},
        golden_outputs={spec.name: outputs[spec.name] for spec in chosen.artifact.outputs},
        calibration=seen,
        report=profile_results.to_json(profile_results.of([dataclasses.replace(result, entries=(result.chosen,))])),
    )


def _some(wanted: int, inputs: Sequence[TensorSpec], data: Dataset) -> int:
    """About `wanted` samples: whole batches, where the model fixes its batch."""
    batch = samples.batch_size(inputs, data.arrays)
    return min(math.ceil(wanted / batch) * batch, data.n)


def _with_default(budgets: tuple[Budget, ...]) -> tuple[tuple[Budget, ...], tuple[str, ...]]:
    if any(budget.quantity.startswith("accuracy") for budget in budgets):
        return budgets, ()
    note = f"No budget limits the accuracy, so {DEFAULT_BUDGET} was used; give one with --budget."
    return (*budgets, dataclasses.replace(parse(DEFAULT_BUDGET), is_default=True)), (note,)
