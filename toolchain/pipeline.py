"""The main job: a trained model in, a measured, packed, gated bundle per profile out."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwbench import dataset, field, gate, measure
from hwbench.budget import Budget, parse
from hwbench.dataset import Dataset
from hwbench.field import Entry, Field, Results
from hwbench.machine import this_machine
from hwbench.measure import BLOCKS, Tick
from hwbench.progress import bar
from hwbench.report import Report
from hwbench.targets import Target
from hwbench.targets.local import LocalTarget
from runtimes import arrays, samples
from runtimes.artifact import RuntimeSettings
from runtimes.profile import HardwareProfile
from runtimes.sampling import SamplingPlan
from runtimes.tensors import TensorSpec
from toolchain import candidates
from toolchain.attempts import REFERENCE, Attempt, Bench, attempt, time_attempts
from toolchain.candidates import Candidate
from toolchain.choose import choose
from toolchain.engines.ranges import DimensionRanges
from toolchain.outputs import write_results
from toolchain.pack import Contents
from toolchain.sources import open_source
from toolchain.standing import Standing, standing
from toolchain.trial import plan_trial
from toolchain.workshop import Workshop

DEFAULT_BUDGET = "accuracy_drop<=0.01"
_GOLDEN_SAMPLES = 4
_TIMED_SAMPLES = 8


@dataclass(frozen=True)
class BuildRequest:
    """Everything that `edgewright build` is told.

    Attributes:
        source: a file, or MODULE:FACTORY.
        name: the model's name, which bundles are named after.
        metric: a metric's name, or FILE.py:FUNCTION; None for top1 with labels, parity without.
        profiles: one bundle is made for each.
        precisions: what to try; all there are, if empty.
        runtimes: where to try it; all that the profile lists, if empty.
        threads: in place of the profile's.
        plan: how long each measuring process goes on.
        ranges: sizes of dynamic dimensions, for engines; once per optimization profile.
    """

    source: str
    name: str
    out: Path
    profiles: tuple[HardwareProfile, ...]
    inputs: tuple[TensorSpec, ...] = ()
    calibration: Path | None = None
    evaluation: Path | None = None
    metric: str | None = None
    precisions: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    budgets: tuple[Budget, ...] = ()
    threads: int | None = None
    plan: SamplingPlan = dataclasses.field(default_factory=SamplingPlan)
    ranges: tuple[DimensionRanges, ...] = ()


def build(request: BuildRequest, target: Target | None = None) -> Results:
    """Export, quantize, build, measure, choose, pack, and write the reports.

    Args:
        request: what to build.
        target: where to measure; this machine, if None.

    Returns:
        The fields, one per profile. Files are in `request.out` by then.

    Raises:
        UsageError: the source, the data or an option is not usable; nothing was written.
        EdgewrightError: the source model cannot be run on ONNX Runtime, which everything is compared with.
        OSError: a disk is full; nothing was written.
    """
    plans = [
        (profile, candidates.plan(profile, request.precisions, request.runtimes, request.threads))
        for profile in request.profiles
    ]
    tried = sum(candidate.refusal is None for _, plan in plans for candidate in plan)
    with (
        tempfile.TemporaryDirectory(prefix="edgewright-") as folder,
        bar(f"Building {request.name}", 2 + tried * (2 + BLOCKS)) as tick,
    ):
        bench = _open_bench(request, Path(folder), target or LocalTarget(), tick)
        built = [_build_for(profile, plan, bench, request) for profile, plan in plans]
        return write_results(built, request.out)


def _open_bench(request: BuildRequest, work: Path, target: Target, tick: Tick) -> Bench:
    real = request.calibration or request.evaluation
    model = open_source(request.source, request.inputs, work / "source.onnx", arrays.read(real) if real else None)
    tick("exported the source")
    calibration = dataset.read(request.calibration, model.inputs) if request.calibration else None
    trial = plan_trial(model, request.evaluation, calibration, request.metric, work)
    workshop = Workshop(request.name, model, calibration, work, request.ranges)
    reference = Candidate(*REFERENCE, RuntimeSettings(threads=0))
    bundle, _ = workshop.make(reference, request.profiles[0])
    trial = trial.with_reference(measure.outputs(bundle, trial.samples.file, target))
    timed = measure.subset(trial.samples, range(_some(_TIMED_SAMPLES, model.inputs, trial.samples)), work / "timed.npz")
    tick("ran the source")
    return Bench(workshop, trial, timed.file, this_machine(), target, tick)


def _build_for(
    profile: HardwareProfile, plan: Sequence[Candidate], bench: Bench, request: BuildRequest
) -> tuple[Field, Contents | None]:
    """A profile's field, and what goes into the bundle of the chosen candidate, if one was chosen."""
    budgets, notes = _with_default(request.budgets)
    place = standing(profile, bench.machine)
    attempts = [attempt(candidate, profile, bench) for candidate in plan]
    if place.is_here:
        attempts = time_attempts(attempts, bench, request.plan)
    entries = choose([_entry(tried, profile, place, budgets, bench) for tried in attempts])
    notes = (*notes, *((bench.trial.note,) if bench.trial.note else ()), *place.caveats)
    result = Field(request.name, profile.name, budgets, entries, notes)
    chosen = next((tried for tried, entry in zip(attempts, entries) if entry is result.chosen), None)
    return result, _contents(result, chosen, profile, bench) if chosen else None


def _entry(tried: Attempt, profile: HardwareProfile, place: Standing, budgets: Sequence[Budget], bench: Bench) -> Entry:
    candidate = tried.candidate
    names = (candidate.name, candidate.recipe.precision, candidate.runtime)
    if tried.failure is not None or tried.artifact is None:
        return Entry(*names, status="skipped", reason=tried.failure or "")
    report = Report(
        model=bench.workshop.name,
        profile=profile.name,
        artifact=tried.artifact,
        machine=bench.machine,
        latency=tried.latency,
        accuracy=tried.accuracy,
        unmeasured={} if tried.latency else {"latency": place.caveats[0]},
    )
    return Entry(*names, status="measured", reason="", report=report, verdicts=gate.judge(report, budgets))


def _contents(result: Field, chosen: Attempt, profile: HardwareProfile, bench: Bench) -> Contents:
    assert chosen.artifact is not None
    assert result.chosen is not None
    data = bench.trial.samples
    n = _some(_GOLDEN_SAMPLES, chosen.artifact.inputs, data)
    return Contents(
        model=bench.workshop.name,
        profile=profile,
        artifact=chosen.artifact,
        recipe=chosen.candidate.recipe,
        golden_inputs={spec.name: data.arrays[spec.name][:n] for spec in chosen.artifact.inputs},
        golden_outputs={spec.name: chosen.outputs[spec.name][:n] for spec in chosen.artifact.outputs},
        report=field.to_json(field.of([dataclasses.replace(result, entries=(result.chosen,))])),
    )


def _some(wanted: int, inputs: Sequence[TensorSpec], data: Dataset) -> int:
    """About `wanted` samples: whole batches, where the model fixes its batch."""
    batch = samples.batch_size(inputs, data.arrays)
    return min(math.ceil(wanted / batch) * batch, data.n)


def _with_default(budgets: tuple[Budget, ...]) -> tuple[tuple[Budget, ...], tuple[str, ...]]:
    if any(budget.quantity.startswith("accuracy") for budget in budgets):
        return budgets, ()
    note = f"No budget limits the accuracy, so {DEFAULT_BUDGET} was used; give one with --budget."
    return (*budgets, parse(DEFAULT_BUDGET)), (note,)
