"""The main job: a trained model in, a measured, packed, gated bundle per profile out."""

from __future__ import annotations

import dataclasses
import errno
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwbench import dataset, field, gate, measure
from hwbench.accuracy import Accuracy
from hwbench.budget import Budget, parse
from hwbench.field import Entry, Field, Results
from hwbench.latency import Latency
from hwbench.machine import Machine, this_machine
from hwbench.measure import BLOCKS, Tick
from hwbench.progress import bar
from hwbench.report import Report
from hwbench.targets import Target
from hwbench.targets.local import LocalTarget
from runtimes.artifact import Artifact, RuntimeSettings
from runtimes.errors import EdgewrightError
from runtimes.profile import HardwareProfile
from runtimes.sampling import SamplingPlan
from runtimes.tensors import Array, TensorSpec
from toolchain import candidates
from toolchain.candidates import Candidate
from toolchain.choose import choose
from toolchain.files import disk_full
from toolchain.outputs import write_results
from toolchain.pack import Contents
from toolchain.recipe import Recipe
from toolchain.sources import open_source
from toolchain.standing import Standing, standing
from toolchain.trial import Trial, plan_trial
from toolchain.workshop import Workshop

DEFAULT_BUDGET = "accuracy_drop<=0.01"
# What every accuracy is compared with, whatever the profile: the source as it is, on ONNX Runtime.
_REFERENCE = (Recipe("fp32"), "onnxruntime")
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


@dataclass(frozen=True)
class _Bench:
    """What every candidate of a build shares."""

    workshop: Workshop
    trial: Trial
    timed: Path
    machine: Machine
    target: Target
    tick: Tick


@dataclass(frozen=True)
class _Attempt:
    """A candidate on its way: made, then scored, then timed; or failed, and why."""

    candidate: Candidate
    failure: str | None = None
    bundle: Path = Path()
    artifact: Artifact | None = None
    outputs: dict[str, Array] = dataclasses.field(default_factory=dict)
    accuracy: Accuracy | None = None
    latency: Latency | None = None


def _open_bench(request: BuildRequest, work: Path, target: Target, tick: Tick) -> _Bench:
    model = open_source(request.source, request.inputs, work / "source.onnx")
    tick("exported the source")
    calibration = dataset.read(request.calibration, model.inputs) if request.calibration else None
    trial = plan_trial(model, request.evaluation, calibration, request.metric, work)
    workshop = Workshop(request.name, model, calibration, work)
    reference = Candidate(*_REFERENCE, RuntimeSettings(threads=0))
    bundle, _ = workshop.make(reference, request.profiles[0])
    trial = trial.with_reference(measure.outputs(bundle, trial.samples.file, target))
    timed = measure.subset(trial.samples, range(min(_TIMED_SAMPLES, trial.samples.n)), work / "timed.npz")
    tick("ran the source")
    return _Bench(workshop, trial, timed.file, this_machine(), target, tick)


def _build_for(
    profile: HardwareProfile, plan: Sequence[Candidate], bench: _Bench, request: BuildRequest
) -> tuple[Field, Contents | None]:
    """A profile's field, and what goes into the bundle of the chosen candidate, if one was chosen."""
    budgets, notes = _with_default(request.budgets)
    place = standing(profile, bench.machine)
    attempts = [_attempt(candidate, profile, bench) for candidate in plan]
    if place.is_here:
        attempts = _time(attempts, bench, request.plan)
    entries = choose([_entry(attempt, profile, place, budgets, bench) for attempt in attempts])
    notes = (*notes, *((bench.trial.note,) if bench.trial.note else ()), *place.caveats)
    result = Field(request.name, profile.name, budgets, entries, notes)
    chosen = next((attempt for attempt, entry in zip(attempts, entries) if entry is result.chosen), None)
    return result, _contents(result, chosen, profile, bench) if chosen else None


def _attempt(candidate: Candidate, profile: HardwareProfile, bench: _Bench) -> _Attempt:
    if candidate.refusal is not None:
        return _Attempt(candidate, candidate.refusal)
    try:
        bundle, artifact = bench.workshop.make(candidate, profile)
        bench.tick(f"made {candidate.name}")
        outputs = measure.outputs(bundle, bench.trial.samples.file, bench.target)
        scored = bench.trial.score(outputs, is_source=(candidate.recipe, candidate.runtime) == _REFERENCE)
        bench.tick(f"scored {candidate.name}")
    except EdgewrightError as error:
        _check_disk(str(error))
        return _Attempt(candidate, str(error))
    return _Attempt(candidate, None, bundle, artifact, outputs, scored)


def _check_disk(failure: str) -> None:
    """A full disk fails whichever candidate comes next, so it says nothing about one.

    Raises:
        OSError: a measuring process met a full disk.
    """
    if os.strerror(errno.ENOSPC) in failure:
        raise disk_full(Path(tempfile.gettempdir()))


def _time(attempts: Sequence[_Attempt], bench: _Bench, plan: SamplingPlan) -> list[_Attempt]:
    running = {a.candidate.name: a for a in attempts if a.failure is None}
    bundles = {name: attempt.bundle for name, attempt in running.items()}
    settings = {name: attempt.candidate.settings for name, attempt in running.items()}
    inputs = dict.fromkeys(running, bench.timed)
    timed = measure.latency(bundles, settings, inputs, bench.target, plan, bench.tick)
    return [_with_latency(attempt, timed.get(attempt.candidate.name)) for attempt in attempts]


def _with_latency(attempt: _Attempt, latency: Latency | str | None) -> _Attempt:
    if isinstance(latency, Latency):
        return dataclasses.replace(attempt, latency=latency)
    _check_disk(latency or "")
    return dataclasses.replace(attempt, failure=attempt.failure or latency)


def _entry(
    attempt: _Attempt, profile: HardwareProfile, place: Standing, budgets: Sequence[Budget], bench: _Bench
) -> Entry:
    candidate = attempt.candidate
    names = (candidate.name, candidate.recipe.precision, candidate.runtime)
    if attempt.failure is not None or attempt.artifact is None:
        return Entry(*names, status="skipped", reason=attempt.failure or "")
    report = Report(
        model=bench.workshop.name,
        profile=profile.name,
        artifact=attempt.artifact,
        machine=bench.machine,
        latency=attempt.latency,
        accuracy=attempt.accuracy,
        unmeasured={} if attempt.latency else {"latency": place.caveats[0]},
    )
    return Entry(*names, status="measured", reason="", report=report, verdicts=gate.judge(report, budgets))


def _contents(result: Field, chosen: _Attempt, profile: HardwareProfile, bench: _Bench) -> Contents:
    assert chosen.artifact is not None
    assert result.chosen is not None
    samples = bench.trial.samples
    n = min(_GOLDEN_SAMPLES, samples.n)
    return Contents(
        model=bench.workshop.name,
        profile=profile,
        artifact=chosen.artifact,
        recipe=chosen.candidate.recipe,
        golden_inputs={spec.name: samples.arrays[spec.name][:n] for spec in chosen.artifact.inputs},
        golden_outputs={spec.name: chosen.outputs[spec.name][:n] for spec in chosen.artifact.outputs},
        report=field.to_json(field.of([dataclasses.replace(result, entries=(result.chosen,))])),
    )


def _with_default(budgets: tuple[Budget, ...]) -> tuple[tuple[Budget, ...], tuple[str, ...]]:
    if any(budget.quantity.startswith("accuracy") for budget in budgets):
        return budgets, ()
    note = f"No budget limits the accuracy, so {DEFAULT_BUDGET} was used; give one with --budget."
    return (*budgets, parse(DEFAULT_BUDGET)), (note,)
