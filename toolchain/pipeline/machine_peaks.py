"""This machine's peaks, measured the first time they are asked for: products, made and run as candidates are."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine
from hwbench.measurements import peaks
from hwbench.measurements.peaks import Peaks, PeakWorkload, UnbuiltWorkload
from hwbench.measurements.report import Report
from hwbench.progress import bar, begin_stage
from hwbench.targets.local import LocalTarget
from runtimes.backends import backend
from runtimes.bundles.manifest import Artifact
from runtimes.errors import EdgewrightError, NotInstalledError, UsageError
from runtimes.npz import write as write_npz
from runtimes.profile import HardwareProfile
from runtimes.tensors import Array, Feeds
from toolchain.calibration.table import CalibrationTable
from toolchain.candidates.build_candidate import CandidateBuilder
from toolchain.candidates.candidate import Candidate, plan
from toolchain.graphs.value_range import Range
from toolchain.models.onnx_model import OnnxModel, save_ir
from toolchain.pipeline.stages import PEAKS

_PRECISIONS = ("fp32", "fp16", "bf16", "int8")
_RUNTIMES = ("onnxruntime", "openvino")
# A few milliseconds at most, so that on a busy machine some runs end before their turn does, and weights of an L2.
_WIDTH = 512
_CHANNELS, _SIDE = 128, 28
_LAYERS = 2
_RANGE = Range(-4.0, 4.0)


def with_peaks(report: Report, *, recall_only: bool = False) -> Report:
    """A report with the peaks that its latency is compared with, or why there are none.

    Args:
        report: of an artifact that was measured on this machine; without a latency it stays as it is.
        recall_only: measure nothing, where nothing is remembered.
    """
    if report.latency is None:
        return report
    try:
        found = of_artifact(report.artifact, report.machine, recall_only=recall_only)
    except EdgewrightError as reason:
        return dataclasses.replace(report, unmeasured={**report.unmeasured, "peaks": str(reason)})
    return dataclasses.replace(report, peaks=found)


def of_artifact(artifact: Artifact, machine: Machine, *, recall_only: bool = False) -> Peaks:
    """What bounds an artifact on the machine we are on.

    Raises:
        UsageError: it does not compute on the processor; or as `known_or_measured`.
    """
    if artifact.runtime not in _RUNTIMES or artifact.settings.options.get("provider", "cpu") != "cpu":
        raise UsageError(f"the peaks are the processor's, and {artifact.runtime} does not compute there")
    return known_or_measured(machine, artifact.settings.threads, recall_only=recall_only)


def known_or_measured(machine: Machine, threads: int, *, fresh: bool = False, recall_only: bool = False) -> Peaks:
    """The machine's peaks: those remembered, or measured now, which takes some seconds and shows a bar.

    Args:
        machine: the one we are on.
        threads: inside one inference; 0, the runtime's own choice, is all cores.
        fresh: measure in any case; the higher of each figure and what was known counts.
        recall_only: measure in no case.

    Raises:
        UsageError: no profile of a processor fits the machine, so that nothing says what it computes in; or nothing is
            remembered and nothing was to be measured.
    """
    threads = threads or machine.cores
    versions = _versions()
    known = None if fresh else peaks.recall(machine, threads, versions)
    if known is not None:
        return known
    if recall_only:
        raise UsageError("the machine's peaks were not measured; edgewright profiles --peaks does")
    trial = plan(_processor(machine), _PRECISIONS, threads=threads, corrections=())
    candidates = [each for each in trial if each.refusal is None and not _is_twice(each)]
    with (
        tempfile.TemporaryDirectory(prefix="edgewright-") as folder,
        bar(PEAKS, 1 + 2 * len(candidates)) as tick,
    ):
        begin_stage(PEAKS)
        workloads = _workloads(candidates, _processor(machine), Path(folder))
        return peaks.measure(machine, threads, versions, workloads, _missing(trial), LocalTarget(), tick)


def _versions() -> Mapping[str, str]:
    """The runtimes' own, for their packages have several names, such as onnxruntime-gpu."""
    found = {"numpy": np.__version__}
    for runtime in _RUNTIMES:
        try:
            found[runtime] = backend(runtime).version()
        except NotInstalledError:
            continue
    return found


def _processor(machine: Machine) -> HardwareProfile:
    """The profile without a GPU that asks for most of what the machine has."""
    fitting = [
        profile
        for profile in map(device_profiles.load, device_profiles.names())
        if device_profiles.fits(profile, machine)
    ]
    processors = [profile for profile in fitting if profile.gpu is None]
    if not processors:
        raise UsageError(f"The peaks of this machine ({machine.cpu}) cannot be measured: no profile fits it.")
    return max(processors, key=lambda profile: (profile.board is not None, len(profile.cpu.isa)))


def _is_twice(candidate: Candidate) -> bool:
    """int8 whose other layers are a half: there are no other layers here."""
    return candidate.recipe.precision == "int8" and candidate.recipe.keep_in != "fp32"


def _missing(trial: Sequence[Candidate]) -> dict[str, str]:
    """Why no runtime computes in a precision."""
    reasons: dict[str, list[str]] = {}
    for candidate in trial:
        reasons.setdefault(_precision(candidate), []).append((candidate.refusal or "").partition(". ")[0].rstrip("."))
    reasons.pop("any", None)  # a runtime that is not installed, which says nothing of any precision
    return {precision: "; ".join(why) for precision, why in reasons.items() if all(why)}


def _workloads(
    candidates: Sequence[Candidate], profile: HardwareProfile, folder: Path
) -> Iterator[PeakWorkload | UnbuiltWorkload]:
    """Every candidate of a product of matrices and of a convolution: which is faster differs by runtime."""
    for name, op, shape, weight in (
        ("matrices", "MatMul", (_WIDTH, _WIDTH), (_WIDTH, _WIDTH)),
        ("convolutions", "Conv", (1, _CHANNELS, _SIDE, _SIDE), (_CHANNELS, _CHANNELS, 3, 3)),
    ):
        work = folder / name
        work.mkdir()
        model = _products(op, shape, weight, work / "model.onnx")
        feeds = {"x0": np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
        write_npz(work / "inputs.npz", {"x0": feeds["x0"][None]})
        ranges = {f"x{layer}": _RANGE for layer in range(_LAYERS + 1)}
        builder = CandidateBuilder(name, model, None, work, CalibrationTable("given", 0, ranges))
        for candidate in candidates:
            yield _workload(f"{name}, {candidate.name}", candidate, builder, profile, feeds, work / "inputs.npz")


def _workload(
    name: str, candidate: Candidate, builder: CandidateBuilder, profile: HardwareProfile, feeds: Feeds, inputs: Path
) -> PeakWorkload | UnbuiltWorkload:
    precision = _precision(candidate)
    try:
        bundle = builder.make(candidate, profile).bundle
        operations = builder.work(candidate.recipe, feeds).operations
    except EdgewrightError as error:
        return UnbuiltWorkload(name, precision, str(error))
    if set(operations) != {precision}:  # some of it was kept in the source's precision
        return UnbuiltWorkload(
            name, precision, f"{candidate.runtime} computes products in {', '.join(operations)} for it"
        )
    return PeakWorkload(name, precision, bundle, inputs, operations[precision])


def _precision(candidate: Candidate) -> str:
    """What a candidate is to compute in; some runtimes compute in a half what only stores it."""
    return candidate.recipe.precision.removesuffix("-storage")


def _products(op: str, shape: Sequence[int], weight: Sequence[int], path: Path) -> OnnxModel:
    """x0 -> x1 -> x2, float32, each a product with weights that keep the values' size."""
    rng = np.random.default_rng(0)
    values = [
        ir.Value(name=f"x{layer}", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(shape))
        for layer in range(_LAYERS + 1)
    ]
    attributes = {"pads": [1, 1, 1, 1]} if op == "Conv" else {}
    nodes, weights = [], []
    for layer, (source, output) in enumerate(itertools.pairwise(values)):
        fan_in = int(np.prod(weight[1:])) if op == "Conv" else weight[0]
        array: Array = (rng.standard_normal(weight) / np.sqrt(fan_in)).astype(np.float32)
        weights.append(ir.Value(name=f"w{layer}", const_value=ir.tensor(array, name=f"w{layer}")))
        nodes.append(ir.node(op, [source, weights[-1]], attributes, outputs=[output], name=f"product{layer}"))
    graph = ir.Graph(
        values[:1], values[-1:], nodes=nodes, initializers=weights, opset_imports={"": 17}, name="products"
    )
    return save_ir(ir.Model(graph, ir_version=8), path)
