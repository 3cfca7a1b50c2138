"""Measurement of existing bundles, as `measure` and `gate` do it."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwbench import metrics
from hwbench.data import dataset
from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine
from hwbench.measurements import accuracy, interleaved
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency
from hwbench.measurements.report import Report
from hwbench.metrics import Metric, Scale
from hwbench.progress import Tick
from hwbench.results.opened_bundle import OpenedBundle, Shapes, at_batch, at_shapes, open_bundle
from hwbench.targets import GpuTarget, Runner
from runtimes.bundles.manifest import Artifact
from runtimes.errors import BackendError, EdgewrightError, UsageError
from runtimes.npz import write as write_npz
from runtimes.sampling.closed_loop import SamplingPlan

_GPU_PROVIDERS = ("cuda", "tensorrt")  # of ONNX Runtime


@dataclass(frozen=True)
class Evaluation:
    """Labelled samples to score on.

    Attributes:
        metrics: the metrics' names; none for those of the bundle's own report, with top1 in place of parity.
    """

    file: Path
    metrics: tuple[str, ...] = ()


def measure_bundles(
    paths: Sequence[Path],
    target: GpuTarget,
    plan: SamplingPlan,
    tick: Tick,
    evaluation: Evaluation | None = None,
    blocks: int = interleaved.BLOCKS,
    shapes: Shapes = (),
) -> list[Report]:
    """Measure bundles here and now, their blocks interleaved.

    Without an evaluation, the accuracy is taken from the bundle's own report: it belongs to the artifact, not to the
    machine. Latency is not measured on a machine that does not fit the bundle's profile.

    Args:
        paths: the bundles; one may occur twice.
        target: the machine that measures.
        plan: duration of each block.
        tick: called after each block.
        evaluation: samples to score on.
        blocks: processes per bundle.
        shapes: shapes to time at; see `at_shapes`.

    Raises:
        BundleError: a file was refused.
        BackendError: a bundle could not be run.
        UsageError: the evaluation data does not fit.
    """
    machine = target.machine
    with tempfile.TemporaryDirectory(prefix="edgewright-") as work:
        opened = {}
        for number, path in enumerate(paths):
            name = f"{path} ({number + 1})" if path in paths[:number] else str(path)  # a path may come twice
            opened[name] = at_shapes(open_bundle(path), shapes)
        here = {name: item for name, item in opened.items() if device_profiles.fits(item.manifest.profile, machine)}
        inputs = {name: Path(work, f"{number}.npz") for number, name in enumerate(here)}
        for name, item in here.items():  # models may differ in their inputs, so each bundle has its own
            write_npz(inputs[name], item.inputs)
        latencies = interleaved.latency(
            {name: item.path for name, item in here.items()},
            {name: item.manifest.artifact.settings for name, item in here.items()},
            inputs,
            target,
            plan,
            tick,
            blocks,
        )
        reports = []
        for name, item in opened.items():
            latency = latencies.get(name)
            if isinstance(latency, str):
                raise BackendError(f"'{item.path}' could not be measured: {latency}")
            why = "" if latency else device_profiles.mismatch(item.manifest.profile)
            if latency and item.batch is not None:
                batched = tuple(at_batch(block, item) for block in latency.blocks)
                latency = dataclasses.replace(latency, batch=item.batch, blocks=batched)
            report = report_of(item, latency, why, evaluation, target, machine)
            reports.append(_with_gpu_times(report, item, inputs[name], target) if latency else report)
        return reports


def _with_gpu_times(report: Report, item: OpenedBundle, inputs: Path, target: GpuTarget) -> Report:
    """Add the parts of inferences on a GPU to a report, or the reason why they are missing."""
    if not _runs_on_gpu(item.manifest.artifact):
        return report
    try:
        return dataclasses.replace(report, gpu_times=target.gpu_times(item.path, inputs))
    except EdgewrightError as error:  # the latency was measured, and counts without its parts
        return dataclasses.replace(report, unmeasured={**report.unmeasured, "gpu_times": str(error)})


def _runs_on_gpu(artifact: Artifact) -> bool:
    """Tell whether an artifact is a TensorRT engine, or asks ONNX Runtime for a GPU's provider."""
    return artifact.plan is not None or artifact.settings.options.get("provider") in _GPU_PROVIDERS


def report_of(
    item: OpenedBundle,
    latency: Latency | None,
    why: str,
    evaluation: Evaluation | None,
    target: Runner,
    machine: Machine,
    baseline: Report | None = None,
) -> Report:
    """Make a bundle's report.

    Args:
        item: the bundle.
        latency: its latency; None if it was not measured.
        why: the reason why the latency is missing; empty if it was measured.
        evaluation: samples to score on; None to take the accuracy from the bundle's own report.
        target: computes the outputs.
        machine: the machine that measured the latency, and computes the outputs.
        baseline: the report to be compared with, if there is one: metrics are resampled as there.

    Raises:
        BackendError: the bundle could not be run.
        UsageError: the evaluation data does not fit.
    """
    scored = _accuracy(item, evaluation, target, baseline.accuracy if baseline else None)
    if scored is not None and evaluation is not None:
        scored = accuracy.computed_by(scored, device_profiles.other_kernels(item.manifest.profile, machine))
    return Report(
        model=item.manifest.model,
        profile=item.manifest.profile.name,
        artifact=item.manifest.artifact,
        machine=machine,
        latency=latency,
        accuracy=scored,
        unmeasured={"latency": why} if why else {},
        candidate=item.name,
        scored_on=item.packed.machine if evaluation is None and item.packed and item.packed.accuracy else None,
    )


def scored_by(item: OpenedBundle, evaluation: Evaluation | None) -> list[Scale]:
    """Return the directions and the bounds of the metrics that `report_of` takes.

    Raises:
        UsageError: a metric was not found.
    """
    packed = item.packed.accuracy if item.packed else None
    if evaluation is None:
        return [one.scale for one in packed.each] if packed else []
    return [metric.scale for metric in _metrics(item, evaluation)]


def _accuracy(
    item: OpenedBundle, evaluation: Evaluation | None, target: Runner, baseline: Accuracy | None
) -> Accuracy | None:
    packed = item.packed.accuracy if item.packed else None
    if evaluation is None:
        return packed
    wanted = _metrics(item, evaluation)
    artifact = item.manifest.artifact
    data = dataset.read(evaluation.file, artifact.inputs, labels=True, states=artifact.states)
    outputs, digest = interleaved.outputs(item.path, data.file, target), data.sha256()
    known = {(one.metric, one.data_sha256): one for one in packed.each} if packed else {}
    each = []
    for metric in wanted:
        same = known.get((metric.name, digest))
        reference = same.reference if same is not None else None
        like = next((one for one in (baseline.each if baseline else ()) if one.metric == metric.name), None)
        scored = accuracy.evaluate(metric, outputs, accuracy.labels_of(metric, data), reference, like)
        if same is not None:
            scored = dataclasses.replace(scored, is_source=same.is_source, flips=same.flips)
        each.append(dataclasses.replace(scored, data_sha256=digest))
    return accuracy.joined(each)


def _metrics(item: OpenedBundle, evaluation: Evaluation) -> list[Metric]:
    """Choose the metrics: those given, or those of the bundle's own report.

    Parity compares with the source's outputs, which only `build` has. Labels then have to be those of a classifier, so
    top1 takes its place.

    Raises:
        UsageError: a metric was not found, or is the user's own, whose function no bundle holds.
    """
    packed = item.packed.accuracy if item.packed else None
    own = [one.metric for one in packed.each] if packed and packed.metric != "parity" else ["top1"]
    unknown = [name for name in own if not metrics.is_built_in(name)]
    if unknown and not evaluation.metrics:
        given = " ".join(f"--metric {name if name not in unknown else f'FILE.py:{name}'}" for name in own)
        raise UsageError(
            f"'{item.path}' was scored by '{unknown[0]}', a function of your own that no bundle holds; give {given}, "
            "with the file that has it."
        )
    return metrics.load_all(evaluation.metrics or own)
