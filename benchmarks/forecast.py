"""Forecasts against measurements: the data that forecasts learn from, and their error when a model is left out.

    python -m benchmarks.forecast | tee benchmarks/results/forecast.txt
    python -m benchmarks.forecast --measure [MODEL...]

With --measure, models are measured on this machine with one thread, and hwbench/forecasts/measured.json is updated. A
latency is the fastest inference, or the processor time of one where that is less, since both are what a machine at rest
takes: medians of a machine at rest are 1 to 3% above the fastest (benchmarks/results/peaks.txt). To these are added the
medians with one and two threads that benchmarks/results/peaks.txt has of another machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import latency_models, light_models
from benchmarks.zoo import ZooModel
from hwbench.data import dataset
from hwbench.forecasts import learnt_devices
from hwbench.forecasts.device_rates import DeviceRates, measured_rates
from hwbench.forecasts.held_out_error import HeldOutError, HeldOutForecast, hold_out
from hwbench.forecasts.kernel_bounds import kernel_bounds
from hwbench.forecasts.learnt_devices import Learnt, merged
from hwbench.forecasts.observation import Observation
from hwbench.forecasts.runtime_fit import RuntimeFit, fit_runtimes
from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine, this_machine
from hwbench.measurements import interleaved
from hwbench.measurements.latency import Latency
from hwbench.targets.local import LocalTarget
from runtimes import samples
from runtimes.bundles.work import KernelWork
from runtimes.codec import encode
from runtimes.errors import EdgewrightError
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.candidates.build_candidate import CandidateBuilder
from toolchain.candidates.candidate import Candidate, list_candidates
from toolchain.models.onnx_model import open_model
from toolchain.pipeline.machine_peaks import known_or_measured

TRAINED = ("efficientnet", "centerface", "ppocr", "silero", "minilm", "g2p", "esrgan")
LIGHT = tuple(name for name in light_models.NAMES if name != "vgg19")  # whose inference others always interrupt
_PRECISIONS = ("fp32", "bf16", "int8", "int8-dynamic")
_PLAN = SamplingPlan(min_runs=10, duration_s=0.3, warmup_limit_s=0.4, time_limit_s=4.0)
_BLOCKS, _CALIBRATION = 4, 16
_FILE = Path(learnt_devices.__file__).with_name(learnt_devices.SHIPPED)
_RECORDED = Path(__file__).parent / "results" / "peaks.txt"
# Of the machine that wrote it: its peaks are printed there, and 290 GFLOP/s are 64 operations per cycle at 4.5 GHz.
_OTHER = "AMD EPYC at 4.5 GHz, quiet"
_OTHER_RATES = {
    1: DeviceRates(1, {"bf16": 549e9, "fp32": 290e9, "int8": 1024e9}, 53e9, 4.5, is_measured=True),
    2: DeviceRates(2, {"bf16": 1027e9, "fp32": 551e9, "int8": 1877e9}, 115e9, 4.5, is_measured=True),
}
_OPERATIONS_PER_CYCLE = 32  # of a Zen 4 in fp32
_NAMES_THERE = {
    "fp32 on onnxruntime": "fp32 (onnxruntime)",
    "int8 on onnxruntime": "int8 (onnxruntime)",
    "int8-dynamic on onnxruntime": "int8-dynamic (onnxruntime)",
    "fp32 on openvino": "fp32 (openvino)",
    "bf16-storage+bf16 on openvino": "bf16-storage + bf16 (openvino)",
    "int8 on openvino": "int8 (openvino)",
    "int8+bf16 on openvino": "int8 + bf16 (openvino)",
    "int8-dynamic on openvino": "int8-dynamic (openvino)",
}


@dataclasses.dataclass(frozen=True)
class Measured:
    """One candidate's kernels, and its latency here."""

    candidate: str
    runtime: str
    kernels: tuple[KernelWork, ...]
    latency_ms: float


def measure(names: Sequence[str]) -> None:
    """Measure models on this machine, and add them to the file that ships, one after another."""
    machine = this_machine()
    rates = _rates(machine)
    device = f"{machine.cpu} at {rates.clock_ghz:g} GHz, shared"
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            found = list(_measured(name, machine, Path(folder)))
        add(name, found, device, rates)
        print(f"{name}: {len(found)} candidates", flush=True)


def add(name: str, found: Sequence[Measured], device: str, rates: DeviceRates) -> None:
    """Add a model's latencies on this machine, and those that the other machine's table has of it, to the file."""
    new = [_observation(device, name, one, rates, one.latency_ms) for one in found]
    for one in found:
        for threads, latency_ms in _recorded(name, one.candidate):
            new.append(_observation(_OTHER, name, one, _OTHER_RATES[threads], latency_ms))
    known = learnt_devices.shipped().observations if _FILE.exists() else ()
    _write(Learnt(_about(), merged(known, new)))


def fit_all() -> None:
    """Fit what was measured, and add it to the file that ships."""
    learnt = learnt_devices.shipped()
    _write(dataclasses.replace(learnt, fits=fit_runtimes(learnt.observations)))


def _write(learnt: Learnt) -> None:
    _FILE.write_text(json.dumps(_rounded(encode(learnt)), indent=0) + "\n")


def _rates(machine: Machine) -> DeviceRates:
    rates = measured_rates(known_or_measured(machine, 1), device_profiles.detect(machine))
    clock = round(rates.operations_per_s["fp32"] / _OPERATIONS_PER_CYCLE / 1e9, 1)  # which this system does not show
    return dataclasses.replace(rates, clock_ghz=clock)


def _about() -> tuple[str, ...]:
    import onnxruntime
    import openvino

    machine, today = this_machine(), datetime.datetime.now(datetime.timezone.utc).date()
    versions = f"ONNX Runtime {onnxruntime.__version__}, OpenVINO {openvino.__version__.partition('-')[0]}"
    return (
        f"{machine.cpu} ({', '.join(machine.isa)}), {machine.cores} cores, {machine.system}, {versions}, {today}: one "
        "thread, by benchmarks/forecast.py, while other work shared the machine; the fastest inference, or the "
        "processor time of one where that is less.",
        "AMD EPYC, quiet, ONNX Runtime 1.31.1, OpenVINO 2026.4.1: medians with one and two threads, from "
        "benchmarks/results/peaks.txt.",
    )


def _measured(name: str, machine: Machine, folder: Path) -> Iterator[Measured]:
    model = _model(name, folder)
    source = open_model(model.onnx)
    data = dataset.read(model.calibration, source.inputs)
    data = interleaved.subset(data, range(min(_CALIBRATION, data.n)), folder / "few.npz")
    feeds = next(samples.feeds(source.inputs, data.arrays))
    builder = CandidateBuilder(name, source, data, folder)
    profile = device_profiles.detect(machine)
    precisions = ("fp32",) if name in light_models.NAMES else _PRECISIONS
    listed = list_candidates(profile, precisions, threads=1, corrections=())
    candidates: dict[str, Candidate] = {one.name: one for one in listed if one.refusal is None}
    bundles = {}
    for called, candidate in candidates.items():
        try:
            bundles[called] = builder.make(candidate, profile).bundle
        except EdgewrightError as error:
            print(f"  {called}: {str(error)[:100]}")
    settings = {called: candidates[called].settings for called in bundles}
    inputs = dict.fromkeys(bundles, data.file)
    taken = interleaved.latency(bundles, settings, inputs, LocalTarget(), _PLAN, lambda _: None, _BLOCKS)
    for called, latency in taken.items():
        if isinstance(latency, Latency):
            kernels = builder.work(candidates[called].recipe, feeds).kernels
            cpu_ms = min(block.cpu_ns / len(block.samples_ns) for block in latency.blocks) / 1e6
            yield Measured(called, candidates[called].runtime, kernels, min(cpu_ms, float(latency.samples_ms.min())))
        else:
            print(f"  {called}: {latency[:100]}")


def _model(name: str, folder: Path) -> ZooModel:
    for family in (latency_models, light_models):
        if name in family.NAMES:
            return family.prepare(name, folder)
    model: ZooModel = importlib.import_module(f"benchmarks.zoo.{name}").prepare()
    return model


def _recorded(model: str, candidate: str) -> Iterator[tuple[int, float]]:
    """Yield the threads and the median in ms of a candidate on the machine that printed the table of peaks."""
    threads = 0
    for line in _RECORDED.read_text("utf-8").splitlines():
        title = re.fullmatch(r"(\w+), (\d) threads?", line)
        if title is not None:
            threads = int(title[2]) if title[1] == model else 0
        row = re.match(r"  (\S+ on \w+) +([\d.]+) ms", line)
        if threads and row is not None and _NAMES_THERE.get(row[1]) == candidate:
            yield threads, float(row[2])


def _observation(device: str, model: str, one: Measured, rates: DeviceRates, latency_ms: float) -> Observation:
    bounds = kernel_bounds(one.kernels, rates)
    return Observation(device, model, one.candidate, one.runtime, rates.threads, rates.clock_ghz, latency_ms, bounds)


def _rounded(value: object) -> object:
    """Round the figures, so that the file stays small."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def show() -> None:
    """Print what forecasts learn from, what they learnt, and their error."""
    learnt = learnt_devices.shipped()
    print(*learnt.about, sep="\n")
    for one in learnt.fits:
        known = [each for each in learnt.observations if each.runtime == one.error.runtime]
        _show_fit(one, known)
        _show_errors(one.error, known)


def _show_fit(one: RuntimeFit, known: Sequence[Observation]) -> None:
    fitted, runtime = one.efficiencies, one.error.runtime
    print(f"\n{runtime}: the share of its roofline that each class of kernels reaches, from {len(known)} latencies")
    for name, share in fitted.shares.items():
        print(f"  {name:32}{share:6.2f}")
    cycles = f"{fitted.product_cycles:,.0f} cycles, and {fitted.thread_cycles:,.0f} for each further thread"
    print(f"  starting a kernel of products takes {cycles}; another kernel, {fitted.other_cycles:,.0f}")
    print(f"  with threads, shares fall as their number to the power of -{fitted.thread_loss:.2f}")
    for device, factor in fitted.device_factors.items():
        print(f"  {device}: {factor:.2f} times as long as these say")


def _show_errors(error: HeldOutError, known: Sequence[Observation]) -> None:
    heads = f"{'model left out':16}{'candidate':32}{'threads':>7}{'device':>30}"
    print(f"\n  {heads}{'measured':>11}{'forecast':>11}{'factor':>8}")
    for one in sorted(hold_out(known, lambda each: each.model), key=_place):
        _show_row(one)
    print(f"\n  {error.models} models, {error.forecasts} forecasts: {error.within:.0%} within a factor of 1.5;")
    print(f"  nine of ten within {error.factor:.2f}; the worst {error.worst:.2f}")
    if error.device_factor is not None:
        print(f"  a whole device left out: nine of ten within {error.device_factor:.2f}; both, {error.both:.2f}")


def _show_row(one: HeldOutForecast) -> None:
    seen = one.observation
    times = f"{seen.latency_ms:8.3f} ms{one.forecast_ms:8.3f} ms{one.factor:8.2f}"
    print(f"  {seen.model:16}{seen.candidate:32}{seen.threads:7}{seen.device:>30}{times}")


def _place(one: HeldOutForecast) -> tuple[str, str, str, int]:
    seen = one.observation
    return seen.model, seen.device, seen.candidate, seen.threads


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("models", nargs="*", default=[*TRAINED, *latency_models.NAMES, *LIGHT])
    given = parser.parse_args()
    if given.measure:
        measure(given.models)
        fit_all()
    show()
