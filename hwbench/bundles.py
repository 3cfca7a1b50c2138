"""Measure bundles that exist already: what `measure` and `gate` do on the machine they run on."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwbench import accuracy, dataset, devices, field, measure, metrics
from hwbench.accuracy import Accuracy
from hwbench.latency import Latency
from hwbench.machine import this_machine
from hwbench.measure import Tick
from hwbench.report import Report
from hwbench.targets import Target
from runtimes.artifact import Manifest
from runtimes.bundle import REPORT, Bundle
from runtimes.errors import BackendError, UsageError
from runtimes.sampling import SamplingPlan
from runtimes.tensors import Array


@dataclass(frozen=True)
class Evaluation:
    """Labelled samples to score on; `metric` None takes the metric of the bundle's own report."""

    file: Path
    metric: str | None = None


def measure_bundles(
    paths: Sequence[Path],
    target: Target,
    plan: SamplingPlan,
    tick: Tick,
    evaluation: Evaluation | None = None,
    blocks: int = measure.BLOCKS,
) -> list[Report]:
    """Measure bundles here and now, their blocks interleaved.

    Without an evaluation, the accuracy is what the bundle's own report says: it is the artifact's, not the
    machine's. Latency is not measured on a machine that is not the bundle's.

    Raises:
        BundleError: a file was refused.
        BackendError: a bundle could not be run.
        UsageError: the evaluation data does not fit.
    """
    machine = this_machine()
    with tempfile.TemporaryDirectory(prefix="edgewright-") as work:
        opened = [_open(path) for path in paths]
        latencies: dict[str, Latency | str] = {}
        here = [item for item in opened if devices.fits(item.manifest.profile, machine)]
        for item in here:  # models may differ in their inputs, so each bundle brings its own
            np.savez(Path(work, f"{opened.index(item)}.npz"), **item.inputs)  # type: ignore[arg-type]
        if here:
            latencies = measure.latency(
                {str(item.path): item.path for item in here},
                {str(item.path): item.manifest.artifact.settings for item in here},
                {str(item.path): Path(work, f"{opened.index(item)}.npz") for item in here},
                target,
                plan,
                tick,
                blocks,
            )
        reports = []
        for item in opened:
            latency = latencies.get(str(item.path))
            if isinstance(latency, str):
                raise BackendError(f"'{item.path}' could not be measured: {latency}")
            reports.append(
                Report(
                    model=item.manifest.model,
                    profile=item.manifest.profile.name,
                    artifact=item.manifest.artifact,
                    machine=machine,
                    latency=latency,
                    accuracy=_accuracy(item, evaluation, target),
                    unmeasured={} if latency else {"latency": f"this machine is no {item.manifest.profile.title}"},
                )
            )
        return reports


def packed_report(path: Path) -> Report | None:
    """The report that was packed with a bundle.

    Raises:
        BundleError: the file was refused.
    """
    return _open(path).packed


@dataclass(frozen=True)
class _Opened:
    path: Path
    manifest: Manifest
    inputs: Mapping[str, Array]
    packed: Report | None


def _open(path: Path) -> _Opened:
    with Bundle(path) as bundle:
        bundle.check()
        manifest = bundle.manifest
        inputs = bundle.golden("input", manifest.artifact.inputs) if manifest.golden.samples else {}
        packed = None
        if REPORT in manifest.members:
            chosen = field.from_json(bundle.read(REPORT), f"{path}: {REPORT}").fields[0].chosen
            packed = chosen.report if chosen else None
    if not inputs:
        raise UsageError(f"'{path}' holds no golden samples to run; rebuild it with edgewright build.")
    return _Opened(path, manifest, inputs, packed)


def _accuracy(item: _Opened, evaluation: Evaluation | None, target: Target) -> Accuracy | None:
    packed = item.packed.accuracy if item.packed else None
    if evaluation is None:
        return packed
    name = evaluation.metric or (packed.metric if packed else "top1")
    data = dataset.read(evaluation.file, item.manifest.artifact.inputs, labels=True)
    assert data.labels is not None
    scored = accuracy.evaluate(metrics.load(name), measure.outputs(item.path, data.file, target), data.labels)
    reference = packed.reference if packed and packed.metric == name and packed.n == data.n else None
    return dataclasses.replace(scored, reference=reference)
