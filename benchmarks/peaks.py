"""This machine's peaks, and every model's latency as a share of its roofline.

    python -m benchmarks.peaks [MODEL...] [--threads 1,2] [--blocks 3] | tee benchmarks/results/peaks.txt

Peaks are measured anew. A model's candidates are those that `edgewright build` would plan, without corrections; they
are measured in interleaved blocks, in processes of their own. `share` is of the median, `most` of the fastest of all,
which a busy machine slows less. Above 100%, a count or a peak is wrong, or something else used the machine while the
peaks were measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks import latency_models
from benchmarks.zoo import ZooModel
from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from hwbench.formats.sections.provenance import describe
from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine, this_machine
from hwbench.measurements import interleaved
from hwbench.measurements.latency import Latency
from hwbench.measurements.peaks import Peaks, rate_text
from hwbench.measurements.report import NotMeasuredError, Report
from hwbench.measurements.roofline import roofline
from hwbench.targets.local import LocalTarget
from runtimes import samples
from runtimes.errors import EdgewrightError
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.candidates.build_candidate import CandidateBuilder
from toolchain.candidates.candidate import Candidate, list_candidates
from toolchain.models.onnx_model import open_model
from toolchain.pipeline.machine_peaks import known_or_measured

_PLAN = SamplingPlan(min_runs=20, duration_s=0.3, warmup_limit_s=0.5, time_limit_s=5.0)
_CALIBRATION = 32
_TRAINED = ("efficientnet", "centerface", "ppocr", "silero", "minilm", "g2p", "esrgan")
# Multiply-accumulates as published, in millions. TensorFlow's figure seems to count more than convolutions and matrix
# products: theirs alone come to 385, and EfficientNet-B0, which differs by squeeze-and-excite, is published with 390.
_PUBLISHED = {
    "efficientnet": (407, "tensorflow/tpu, models/official/efficientnet/lite/README.md: MAdds of lite0"),
    "resnet18": (1800, "He et al., 2016, Deep Residual Learning, table 1: 1.8 x 10^9 FLOPs, one per multiply-add"),
    "mobilenetv2": (300, "Sandler et al., 2018, MobileNetV2, table 4: 300M MAdds"),
}


def main(names: Sequence[str], threads: Sequence[int], blocks: int) -> None:
    """Measure the machine, then every model; print as it goes."""
    machine = this_machine()
    print(describe(machine))
    found = {}
    for count in threads:
        found[count] = known_or_measured(machine, count, fresh=True)
        _print_peaks(found[count])
    shares: list[tuple[float, str]] = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            for count in threads:
                shares += _print_model(name, machine, found[count], blocks, Path(folder, str(count)))
    share, which = max(shares)
    print(f"\nThe largest share that the fastest inference of {len(shares)} reached is {share:.0%}: {which}")


def _print_peaks(peaks: Peaks) -> None:
    print(f"\nPeaks, {_threads(peaks.threads)}; {', '.join(f'{k} {v}' for k, v in peaks.versions.items())}")
    for precision, rate in peaks.operations_per_s.items():
        print(f"  {precision:9}{rate_text(precision, rate):>15}")
    for precision, reason in peaks.missing.items():
        print(f"  {precision:9} none: {reason}")
    for each in peaks.memory:
        print(f"  reading {each.bytes / 2**20:>6g} MiB {each.bytes_per_s / 1e9:>8.0f} GB/s")


def _print_model(name: str, machine: Machine, peaks: Peaks, blocks: int, folder: Path) -> list[tuple[float, str]]:
    folder.mkdir()
    print(f"\n{name}, {_threads(peaks.threads)}")
    shares = []
    for number, (candidate, report) in enumerate(_measured(name, machine, peaks, blocks, folder)):
        if isinstance(report, str):
            print(f"  {candidate.name:32} failed: {report[:100]}")
            continue
        work, latency = report.artifact.work, report.latency
        assert work is not None and latency is not None
        if not number:
            _print_work(name, sum(work.operations.values()), work.bytes)
        p50_ms = float(np.median(latency.samples_ms))
        try:
            found = roofline(report)
        except NotMeasuredError as reason:
            print(f"  {candidate.name:32}{p50_ms:9.3f} ms  no roofline: {reason}")
            continue
        kinds = ", ".join(f"{count / 1e6:,.1f} {kind}" for kind, count in work.operations.items())
        fastest_ms = float(latency.samples_ms.min())
        most = found.time_ms / fastest_ms
        times = f"{p50_ms:9.3f} ms{fastest_ms:9.3f} ms{found.time_ms:9.3f} ms"
        figures = f"{times} {found.bound:8}{found.share:6.0%}{most:6.0%}"
        print(f"  {candidate.name:32}{figures}  {kinds} Mop; {work.bytes / 1e6:.2f} MB", flush=True)
        shares.append((most, f"{name}, {candidate.name}, {_threads(peaks.threads)}"))
    return shares


def _print_work(name: str, operations: int, size: int) -> None:
    counted = f"  {operations / 2e6:,.1f} M multiply-accumulates, {size / 1e6:.2f} MB"
    published, source = _PUBLISHED.get(name, (None, ""))
    print(counted + (f"; published: {published} M ({source})" if published else ""))
    print(
        f"  {'candidate':32}{'p50':>9}   {'fastest':>9}   {'roofline':>9}    {'bound':8}{'share':>6}{'most':>6}  work"
    )


def _measured(
    name: str, machine: Machine, peaks: Peaks, blocks: int, folder: Path
) -> Iterator[tuple[Candidate, Report | str]]:
    model = _model(name, folder)
    source = open_model(model.onnx)
    data = _few(dataset.read(model.calibration, source.inputs), folder)
    feeds = next(samples.feeds(source.inputs, data.arrays))
    builder = CandidateBuilder(name, source, data, folder)
    profile = device_profiles.detect(machine)
    listed = list_candidates(profile, threads=peaks.threads, corrections=())
    candidates = {each.name: each for each in listed if each.refusal is None}
    bundles, made, failed = {}, {}, {}
    for called, candidate in candidates.items():
        try:
            made[called] = builder.make(candidate, profile)
            bundles[called] = made[called].bundle
        except EdgewrightError as error:
            failed[called] = str(error)
    settings = {called: candidates[called].settings for called in bundles}
    inputs = dict.fromkeys(bundles, data.file)
    taken = interleaved.latency(bundles, settings, inputs, LocalTarget(), _PLAN, lambda _: None, blocks)
    for called, candidate in candidates.items():
        latency = taken.get(called, failed.get(called, ""))
        if not isinstance(latency, Latency):
            yield candidate, latency
            continue
        work = builder.work(candidate.recipe, feeds)
        artifact = dataclasses.replace(made[called].artifact, work=work)
        yield candidate, Report(name, profile.name, artifact, machine, latency, peaks=peaks)


def _model(name: str, folder: Path) -> ZooModel:
    if name in latency_models.NAMES:
        return latency_models.prepare(name, folder)
    model: ZooModel = importlib.import_module(f"benchmarks.zoo.{name}").prepare()
    return model


def _few(data: Dataset, folder: Path) -> Dataset:
    return interleaved.subset(data, range(min(_CALIBRATION, data.n)), folder / "few.npz")


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=[*_TRAINED, *latency_models.NAMES])
    parser.add_argument("--threads", default=f"1,{os.cpu_count()}")
    parser.add_argument("--blocks", type=int, default=3)
    given = parser.parse_args()
    main(given.models, sorted({int(n) for n in given.threads.split(",")}), given.blocks)
