"""Peaks of this machine, measured when they are first needed, with products that are built and run as candidates."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine, this_machine
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
from toolchain.candidates.candidate import Candidate, list_candidates
from toolchain.graphs.value_range import Range
from toolchain.models.onnx_model import OnnxModel, save_ir
from toolchain.pipeline.stages import PEAKS

PRECISIONS = ("fp32", "fp16", "bf16", "int8")
"""Precisions that have a peak."""

_RUNTIMES = ("onnxruntime", "openvino")
# With these sizes a run takes a few milliseconds at most, so that on a busy machine some runs are not preempted, and
# the weights fit in an L2 cache.
_WIDTH = 512
_CHANNELS, _SIDE = 128, 28
_LAYERS = 2
_RANGE = Range(-4.0, 4.0)


def with_peaks(report: Report, *, recall_only: bool = False) -> Report:
    """Add to a report the peaks that its latency is compared with, or the reason why there are none.

    Args:
        report: the report of an artifact that was measured on this machine; one without a latency is not changed.
        recall_only: measure nothing, even if no peaks are remembered.
    """
    if report.latency is None:
        return report
    try:
        found = of_artifact(report.artifact, report.machine, recall_only=recall_only)
    except EdgewrightError as reason:
        return dataclasses.replace(report, unmeasured={**report.unmeasured, "peaks": str(reason)})
    return dataclasses.replace(report, peaks=found)


def of_artifact(artifact: Artifact, machine: Machine, *, recall_only: bool = False) -> Peaks:
    """Find the peaks that bound an artifact on this machine: of the precisions that it computes in, and of the memory.

    Raises:
        UsageError: the artifact does not run on the processor; or as in `known_or_measured`.
    """
    if artifact.runtime not in _RUNTIMES or artifact.settings.options.get("provider", "cpu") != "cpu":
        raise UsageError(f"the peaks are those of the processor, and {artifact.runtime} does not run there")
    computed = artifact.work.operations if artifact.work is not None else PRECISIONS
    needed = [precision for precision in PRECISIONS if precision in computed]
    return known_or_measured(machine, artifact.settings.threads, needed, recall_only=recall_only)


def known_or_measured(
    machine: Machine,
    threads: int,
    precisions: Sequence[str] = PRECISIONS,
    *,
    fresh: bool = False,
    recall_only: bool = False,
) -> Peaks:
    """Recall the machine's peaks, or measure what is missing now, which takes some seconds and shows a bar.

    Args:
        machine: this machine.
        threads: threads per inference; 0, the runtime's own choice, counts as all cores.
        precisions: the precisions whose peaks are needed; others may be missing.
        fresh: measure again even if peaks are remembered; the higher figure of the two counts.
        recall_only: never measure.

    Raises:
        UsageError: no profile of a processor fits the machine, so that its precisions are unknown; or no peaks are
            remembered, and `recall_only` is set or the machine is another one.
    """
    threads = threads or machine.cores
    versions = _versions()
    known = None if fresh else peaks.recall(machine, threads, versions)
    left = [each for each in precisions if known is None or not known.tells_of(each)]
    if known is not None and not left:
        return known
    if recall_only:
        raise UsageError("the machine's peaks were not measured; run: edgewright profiles --peaks")
    processor = _processor(machine)
    if machine.differences(this_machine()):
        raise UsageError("the peaks of another machine than this one are not measured")
    listed = list_candidates(processor, left, threads=threads, corrections=()) if left else ()
    candidates = [each for each in listed if each.refusal is None and not _is_duplicate(each)]
    with (
        tempfile.TemporaryDirectory(prefix="edgewright-") as folder,
        bar(PEAKS, 1 + 2 * len(candidates)) as tick,
    ):
        begin_stage(PEAKS)
        workloads = _workloads(candidates, processor, Path(folder))
        memory = known.memory if known is not None else None
        return peaks.measure(machine, threads, versions, workloads, _missing(listed), LocalTarget(), tick, memory)


def _versions() -> Mapping[str, str]:
    """Ask the runtimes for their versions: their packages have several names, such as onnxruntime-gpu."""
    found = {"numpy": np.__version__}
    for runtime in _RUNTIMES:
        try:
            found[runtime] = backend(runtime).version()
        except NotInstalledError:
            continue
    return found


def _processor(machine: Machine) -> HardwareProfile:
    """Find the profile without a GPU that asks for most of the machine's instruction sets."""
    fitting = [
        profile
        for profile in map(device_profiles.load, device_profiles.names())
        if device_profiles.fits(profile, machine)
    ]
    processors = [profile for profile in fitting if profile.gpu is None]
    if not processors:
        raise UsageError(f"The peaks of this machine ({machine.cpu}) cannot be measured: no profile fits it.")
    return max(processors, key=lambda profile: (profile.board is not None, len(profile.cpu.isa)))


def _is_duplicate(candidate: Candidate) -> bool:
    """Tell whether it is int8 with the other layers in a half precision: these models have no other layers."""
    return candidate.recipe.precision == "int8" and candidate.recipe.keep_in != "fp32"


def _missing(listed: Sequence[Candidate]) -> dict[str, str]:
    """Find the precisions that no runtime computes in, with the reasons."""
    reasons: dict[str, list[str]] = {}
    for candidate in listed:
        reasons.setdefault(_precision(candidate), []).append((candidate.refusal or "").partition(". ")[0].rstrip("."))
    reasons.pop("any", None)  # the row of a runtime that is not installed says nothing about precisions
    return {precision: "; ".join(why) for precision, why in reasons.items() if all(why)}


def _workloads(
    candidates: Sequence[Candidate], profile: HardwareProfile, folder: Path
) -> Iterator[PeakWorkload | UnbuiltWorkload]:
    """Yield every candidate for a product of matrices and for a convolution; runtimes differ in the faster one."""
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
    if set(operations) != {precision}:  # some products were kept in the source's precision
        return UnbuiltWorkload(
            name, precision, f"{candidate.runtime} computes products in {', '.join(operations)} for it"
        )
    return PeakWorkload(name, precision, bundle, inputs, operations[precision])


def _precision(candidate: Candidate) -> str:
    """Name the precision that a candidate computes in; some runtimes compute in a half that the file only stores."""
    return candidate.recipe.precision.removesuffix("-storage")


def _products(op: str, shape: Sequence[int], weight: Sequence[int], path: Path) -> OnnxModel:
    """Write x0 -> x1 -> x2 in float32, each a product with weights that keep the values' magnitude."""
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
