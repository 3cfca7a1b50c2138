"""The main job: a trained model in, a measured, packed, gated bundle per profile out."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwbench import accuracy, dataset, devices, field, gate, measure, metrics
from hwbench.accuracy import Accuracy
from hwbench.budget import Budget, parse
from hwbench.dataset import Dataset
from hwbench.field import Entry, Field, Results
from hwbench.latency import Latency
from hwbench.machine import Machine, this_machine
from hwbench.measure import BLOCKS, Tick
from hwbench.metrics.parity import flatten
from hwbench.progress import bar
from hwbench.report import Report
from hwbench.targets import Target
from hwbench.targets.local import LocalTarget
from runtimes import plugins
from runtimes.artifact import Artifact, RuntimeSettings
from runtimes.errors import EdgewrightError, UsageError
from runtimes.profile import HardwareProfile
from runtimes.sampling import SamplingPlan
from runtimes.tensors import Array, TensorSpec
from toolchain import candidates
from toolchain.candidates import BUILDERS, Candidate
from toolchain.choose import choose
from toolchain.inputs import example_samples
from toolchain.model import OnnxModel
from toolchain.outputs import write_results
from toolchain.pack import Contents, pack
from toolchain.quantize import quantize
from toolchain.recipe import Recipe
from toolchain.sources import open_source

DEFAULT_BUDGET = "accuracy_drop<=0.01"
GOLDEN_SAMPLES = 4
_UNLABELLED_SAMPLES = 64
_TIMED_SAMPLES = 8


@dataclass(frozen=True)
class BuildRequest:
    """Everything that `edgewright build` is told.

    Attributes:
        source: a file, or MODULE:FACTORY.
        name: the model's name, which bundles are named after.
        metric: a metric's name, or FILE.py:FUNCTION; None for top1 with labels, parity without.
        profiles: one bundle is made for each.
        precisions, runtimes: what to try; all that the profile allows, if empty.
        threads: in place of the profile's.
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
    """
    plans = {
        p.name: candidates.plan(p, request.precisions, request.runtimes, request.threads) for p in request.profiles
    }
    tried = sum(candidate.refusal is None for plan in plans.values() for candidate in plan)
    with (
        tempfile.TemporaryDirectory(prefix="edgewright-") as work,
        bar(f"Building {request.name}", 2 + tried * (2 + BLOCKS)) as tick,
    ):
        builder = _Builder(request, Path(work), target or LocalTarget(), tick)
        fields = [builder.field(profile, plans[profile.name]) for profile in request.profiles]
        return write_results(fields, builder.contents, request.out)


class _Builder:
    """One build: the source, the data it is judged on, and the variants made so far."""

    def __init__(self, request: BuildRequest, work: Path, target: Target, tick: Tick) -> None:
        self.request, self.work, self.target, self.tick = request, work, target, tick
        self.machine = this_machine()
        self.contents: dict[str, Contents] = {}
        self._variants: dict[Recipe, OnnxModel] = {}
        self.model = open_source(request.source, request.inputs, work / "source.onnx")
        tick("exported the source")
        self.calibration = dataset.read(request.calibration, self.model.inputs) if request.calibration else None
        self.metric, self.evaluation = self._read_evaluation()
        self.budgets, self.notes = _with_default(request.budgets)
        self.timed = measure.subset(self.evaluation, range(min(_TIMED_SAMPLES, self.evaluation.n)), work / "timed.npz")
        self.reference = self._measure_reference()
        tick("ran the source")

    def field(self, profile: HardwareProfile, plan: Sequence[Candidate]) -> Field:
        """Make, measure and judge a profile's candidates, and choose one."""
        here, caveats = _standing(profile, self.machine)
        bundles: dict[str, Path] = {}
        made: dict[str, Artifact] = {}
        scores: dict[str, Accuracy] = {}
        skipped: dict[str, str] = {}
        outputs: dict[str, dict[str, Array]] = {}
        for candidate in plan:
            if candidate.refusal is not None:
                skipped[candidate.name] = candidate.refusal
                continue
            try:
                bundle, artifact = self._make(candidate, profile)
                self.tick(f"made {candidate.name}")
                outputs[candidate.name] = measure.outputs(bundle, self.evaluation.file, self.target)
                scores[candidate.name] = self._score(outputs[candidate.name], self.reference)
                self.tick(f"scored {candidate.name}")
                bundles[candidate.name], made[candidate.name] = bundle, artifact
            except EdgewrightError as error:
                skipped[candidate.name] = str(error)
        latencies = self._time(bundles, made) if here else {}
        entries = [self._entry(candidate, profile, made, scores, latencies, skipped, caveats) for candidate in plan]
        result = Field(self.request.name, profile.name, self.budgets, choose(entries), (*self.notes, *caveats))
        self._remember(result, plan, profile, made, outputs)
        return result

    def _read_evaluation(self) -> tuple[metrics.Metric, Dataset]:
        request, inputs = self.request, self.model.inputs
        if request.evaluation is not None:
            name = request.metric or ("top1" if _has_labels(request.evaluation) else "parity")
            return metrics.load(name), dataset.read(request.evaluation, inputs, labels=name != "parity")
        if request.metric not in (None, "parity"):
            raise UsageError(f"The metric {request.metric} needs labelled samples; give --evaluation FILE.npz.")
        if self.calibration is not None:
            return metrics.load("parity"), self.calibration
        file = self.work / "random.npz"
        np.savez(file, **example_samples(inputs, _UNLABELLED_SAMPLES))  # type: ignore[arg-type]  # as in measure.subset
        return metrics.load("parity"), dataset.read(file, inputs)

    def _measure_reference(self) -> Accuracy:
        """The source's own score, which `accuracy_drop` compares with: fp32 on ONNX Runtime."""
        profile = self.request.profiles[0]
        candidate = Candidate(Recipe("fp32"), "onnxruntime", RuntimeSettings(threads=0))
        bundle, _ = self._make(candidate, profile, "reference")
        outputs = measure.outputs(bundle, self.evaluation.file, self.target)
        if self.metric.name == "parity":
            self.evaluation = dataclasses.replace(self.evaluation, labels=flatten(outputs))
        return self._score(outputs, None)

    def _score(self, outputs: Mapping[str, Array], reference: Accuracy | None) -> Accuracy:
        assert self.evaluation.labels is not None
        return accuracy.evaluate(self.metric, outputs, self.evaluation.labels, reference)

    def _make(self, candidate: Candidate, profile: HardwareProfile, prefix: str = "") -> tuple[Path, Artifact]:
        """A candidate as a bundle, so that what is measured is what would ship."""
        variant = self._variants.get(candidate.recipe)
        if variant is None:
            file = self.work / f"variant-{len(self._variants)}.onnx"
            variant = quantize(self.model, candidate.recipe, self.calibration, file)
            self._variants[candidate.recipe] = variant
        folder = self.work / f"{prefix}{profile.name}" / candidate.name.replace(" ", "-")
        folder.mkdir(parents=True)
        builder = plugins.load(BUILDERS, candidate.runtime, "runtime")
        artifact: Artifact = builder.build(variant, candidate.recipe, candidate.settings, folder)
        bundle = folder / "candidate.edge"
        pack(Contents(self.request.name, profile, artifact, candidate.recipe, {}, {}), bundle)
        return bundle, artifact

    def _time(self, bundles: Mapping[str, Path], made: Mapping[str, Artifact]) -> dict[str, Latency | str]:
        settings = {name: artifact.settings for name, artifact in made.items()}
        inputs = dict.fromkeys(bundles, self.timed.file)
        return measure.latency(bundles, settings, inputs, self.target, self.request.plan, self.tick)

    def _entry(
        self,
        candidate: Candidate,
        profile: HardwareProfile,
        made: Mapping[str, Artifact],
        scores: Mapping[str, Accuracy],
        latencies: Mapping[str, Latency | str],
        skipped: Mapping[str, str],
        caveats: Sequence[str],
    ) -> Entry:
        name = candidate.name
        latency = latencies.get(name)
        failure = skipped.get(name) or (latency if isinstance(latency, str) else None)
        if failure is not None:
            return Entry(name, candidate.recipe.precision, candidate.runtime, "skipped", failure)
        timed = latency if isinstance(latency, Latency) else None
        report = Report(
            model=self.request.name,
            profile=profile.name,
            artifact=made[name],
            machine=self.machine,
            latency=timed,
            accuracy=scores[name],
            unmeasured={} if timed else {"latency": caveats[0]},
        )
        return Entry(
            name,
            candidate.recipe.precision,
            candidate.runtime,
            "measured",
            "",
            report,
            gate.judge(report, self.budgets),
        )

    def _remember(
        self,
        result: Field,
        plan: Sequence[Candidate],
        profile: HardwareProfile,
        made: Mapping[str, Artifact],
        outputs: Mapping[str, Mapping[str, Array]],
    ) -> None:
        """Keep what the chosen candidate's bundle will hold."""
        chosen = result.chosen
        if chosen is None:
            return
        n = min(GOLDEN_SAMPLES, self.evaluation.n)
        candidate = next(candidate for candidate in plan if candidate.name == chosen.name)
        artifact = made[chosen.name]
        self.contents[profile.name] = Contents(
            model=self.request.name,
            profile=profile,
            artifact=artifact,
            recipe=candidate.recipe,
            golden_inputs={spec.name: self.evaluation.arrays[spec.name][:n] for spec in artifact.inputs},
            golden_outputs={spec.name: outputs[chosen.name][spec.name][:n] for spec in artifact.outputs},
            report=field.to_json(field.of([dataclasses.replace(result, entries=(chosen,))])),
        )


def _with_default(budgets: tuple[Budget, ...]) -> tuple[tuple[Budget, ...], tuple[str, ...]]:
    if any(budget.quantity.startswith("accuracy") for budget in budgets):
        return budgets, ()
    note = f"No budget limits the accuracy, so {DEFAULT_BUDGET} was used; give one with --budget."
    return (*budgets, parse(DEFAULT_BUDGET)), (note,)


def _standing(profile: HardwareProfile, machine: Machine) -> tuple[bool, tuple[str, ...]]:
    """Whether latency measured here is the profile's, and what must be said beside the figures."""
    if not devices.fits(profile, machine):
        return False, (
            f"Latency and memory were not measured: this machine ({machine.cpu}, {machine.arch}) is no "
            f"{profile.title}. Copy the bundle there and run: edgewright gate BUNDLE --budget ...",
            f"Accuracy was computed with this machine's {machine.arch} kernels; the device's may round otherwise.",
        )
    beyond = sorted(set(machine.isa) & devices.KERNEL_FLAGS - set(profile.cpu.isa))
    if beyond and profile.gpu is None:
        return True, (
            f"This machine has {', '.join(beyond)} beyond what {profile.name} asks for; a machine that just meets the "
            "profile may be slower, and its int8 kernels may saturate.",
        )
    return True, ()


def _has_labels(path: Path) -> bool:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dataset.LABELS in getattr(archive, "files", ())
    except (OSError, ValueError):
        return False  # `dataset.read` says what is wrong with the file
