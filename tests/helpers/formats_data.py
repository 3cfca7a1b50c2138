"""Fields as a run would leave them, from a seeded generator, for every format's tests."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hwbench.budgets import budget
from hwbench.budgets.verdicts import judge
from hwbench.machine.identity import Machine
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency
from hwbench.measurements.report import Report
from hwbench.results import profile_results
from hwbench.results.profile_results import CandidateResult, ProfileResult, Results, Status
from runtimes import plugins
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.sampling.closed_loop import Block
from runtimes.tensors import TensorSpec

BUDGETS = budget.parse_all(["p90<=20ms", "accuracy_drop<=0.01"])
HOSTILE = 'a|b\n<script>alert("x")</script> `c` $d$ [e](f) \x1b[31mred\x07 \ud800 "g"'

MACHINE = Machine(
    arch="x86_64",
    cpu="Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
    isa=("avx2", "avx512_vnni", "avx512f", "fma"),
    cores=4,
    memory_bytes=16 * 2**30,
    system="Linux 6.1.0-18-amd64",
    python="3.11.7",
    caches_bytes={"L1d": 48 * 1024, "L2": 2 * 2**20, "L3": 105 * 2**20},
    hypervisor="Google",
)

_MEASURED: dict[str, tuple[Status, float, int, int, float]] = {
    # precision: status, median in ms, right answers gained and lost, size in MB
    "fp32": ("rejected", 31.2, 0, 0, 13.96),
    "fp16-storage": ("rejected", 31.9, 0, 0, 7.02),
    "bf16-storage": ("rejected", 32.6, 1, 2, 7.02),
    "int8": ("selected", 14.6, 2, 3, 3.62),
    "int8-dynamic": ("rejected", 19.4, 1, 31, 3.71),
}
_SKIPPED = {
    "fp16": "ONNX Runtime's CPU provider has no fp16 kernels on x86",
    "bf16": "ONNX Runtime's CPU provider has no bf16 kernels (onnxruntime#28768)",
}


@functools.cache
def rendered(form: str, make: Callable[[], ProfileResult | Results], **options: object) -> str:
    """Render what `make` makes, in a format. Pages take long to draw, so that all who look at the same one share it."""
    made = make()
    results = profile_results.of([made]) if isinstance(made, ProfileResult) else made
    return str(plugins.load("hwbench.formats", form, "format").render(results, **options))


@functools.cache
def three_results() -> Results:
    """Seven candidates, one chosen; a device that was not here; and a result with too few samples."""
    return profile_results.of([measured_result(), elsewhere_result(), few_samples_result()])


@functools.cache
def measured_result() -> ProfileResult:
    """Seven candidates: one chosen, four dropped, two skipped."""
    entries = [_measured(precision, number) for number, precision in enumerate(_MEASURED)]
    skipped = [
        CandidateResult(f"{name} (onnxruntime)", name, "onnxruntime", "not built", reason)
        for name, reason in _SKIPPED.items()
    ]
    return ProfileResult(
        "mobilenet-v2",
        "x86-avx512-vnni",
        BUDGETS,
        (entries[0], *skipped, *entries[1:]),
        ("The machine is virtual; its neighbours are part of what was measured.",),
        Path("out/mobilenet-v2-x86-avx512-vnni.edge"),
    )


@functools.cache
def elsewhere_result() -> ProfileResult:
    """For a device that was not here: no latency, so its budget is inconclusive."""
    reason = "raspberry-pi-5 was not here; measure there with: edgewright measure BUNDLE"
    entries = []
    for precision in ("fp32", "int8"):
        status, _, gained, lost, size_mb = _MEASURED[precision]
        report = make_report(precision, None, gained, lost, size_mb)
        report = dataclasses.replace(report, profile="raspberry-pi-5", unmeasured={"latency": reason})
        entries.append(_judged(precision, "selected" if status == "selected" else "eligible", report))
    caveat = "Latency and peak memory were not measured: this machine is no raspberry-pi-5."
    return ProfileResult("mobilenet-v2", "raspberry-pi-5", BUDGETS, tuple(entries), (caveat,))


@functools.cache
def few_samples_result() -> ProfileResult:
    """One candidate with too few samples for p90 and p99, unsettled; nothing was to be decided."""
    latency = make_latency(14.6, seed=9, runs=4, settled=False)
    report = make_report("int8", latency, 2, 3, 3.62)
    entry = CandidateResult("int8 (onnxruntime)", "int8", "onnxruntime", "measured", "", report)
    return ProfileResult("mobilenet-v2", "x86-avx512-vnni", (), (entry,))


@functools.cache
def failed_result() -> ProfileResult:
    """Every candidate breaks a budget."""
    entries = [_measured(precision, number) for number, precision in enumerate(_MEASURED) if precision != "int8"]
    return ProfileResult("mobilenet-v2", "x86-avx512-vnni", BUDGETS, tuple(entries))


def unmade_result() -> ProfileResult:
    """Not one candidate could be made."""
    entries = [
        CandidateResult(f"{name} (onnxruntime)", name, "onnxruntime", "not built", "The time limit ran out.")
        for name in ("fp32", "int8")
    ]
    return ProfileResult("mobilenet-v2", "x86-avx512-vnni", BUDGETS, tuple(entries))


@functools.cache
def many_result() -> ProfileResult:
    """Fifteen candidates on three runtimes whose latencies span 35x."""
    entries = []
    for factor, runtime in ((1.0, "onnxruntime"), (0.7, "openvino"), (0.06, "tensorrt")):
        for number, (precision, (_, median_ms, gained, lost, size_mb)) in enumerate(_MEASURED.items()):
            report = make_report(precision, make_latency(median_ms * factor, number), gained, lost, size_mb)
            report = dataclasses.replace(report, artifact=dataclasses.replace(report.artifact, runtime=runtime))
            status: Status = "selected" if (precision, runtime) == ("int8", "tensorrt") else "eligible"
            entries.append(_judged(precision, status, report))
    return ProfileResult("mobilenet-v2", "x86-l4", BUDGETS, tuple(entries))


@functools.cache
def hostile_result() -> ProfileResult:
    """Every free text holds what breaks tables, markup and terminals."""
    entries = [_measured(precision, number) for number, precision in enumerate(_MEASURED)]
    named = []
    for number, entry in enumerate(entries):
        assert entry.report is not None
        machine = dataclasses.replace(MACHINE, cpu=HOSTILE)
        artifact = dataclasses.replace(entry.report.artifact, tool_versions={HOSTILE: HOSTILE}, source_sha256=HOSTILE)
        report = dataclasses.replace(entry.report, model=HOSTILE, machine=machine, artifact=artifact)
        verdicts = tuple(dataclasses.replace(verdict, reason=HOSTILE) for verdict in entry.verdicts)
        named.append(
            dataclasses.replace(entry, name=f"{number}{HOSTILE}", reason=HOSTILE, report=report, verdicts=verdicts)
        )
    named.append(CandidateResult(HOSTILE, HOSTILE, HOSTILE, "not built", HOSTILE))
    return ProfileResult(HOSTILE, HOSTILE, BUDGETS, tuple(named), (HOSTILE,), Path(HOSTILE))


def make_latency(median_ms: float, seed: int, runs: int = 180, settled: bool = True, blocks: int = 6) -> Latency:
    """Log-normal, with a tail as a busy machine has it, and a little between processes."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(blocks):
        samples = median_ms * rng.lognormal(rng.normal(0, 0.004), 0.02, runs)
        samples += np.where(rng.random(runs) < 0.04, rng.exponential(median_ms / 8, runs), 0)
        made.append(
            Block(
                samples_ns=tuple(int(sample * 1e6) for sample in samples),
                warmup_ns=tuple(int(median_ms * 1.4e6) for _ in range(20)),
                settled=settled,
                load_ns=int(rng.normal(42e6, 1e6)),
                cpu_ns=int(samples.sum() * 1e6),
                preemptions=3,
                idle_memory_bytes=61_000_000,
                peak_memory_bytes=int(118e6 + median_ms * 1e6 + rng.normal(0, 3e5)),
            )
        )
    return Latency("single_stream", 1, 4, tuple(made))


def make_report(precision: str, latency: Latency | None, gained: int, lost: int, size_mb: float) -> Report:
    reference = Accuracy("top1", True, 1000, 0.98, scores=(1.0,) * 980 + (0.0,) * 20)
    scores = (1.0,) * (980 - lost) + (0.0,) * lost + (1.0,) * gained + (0.0,) * (20 - gained)
    accuracy = Accuracy("top1", True, 1000, sum(scores) / 1000, scores=scores, reference=reference)
    artifact = Artifact(
        file=Path("model.onnx"),
        runtime="onnxruntime",
        precision=precision,
        inputs=(TensorSpec("image", "float32", ("N", 3, 224, 224)),),
        outputs=(TensorSpec("logits", "float32", ("N", 1000)),),
        settings=RuntimeSettings(threads=4),
        source_sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        size_bytes=int(size_mb * 1e6),
        tool_versions={"edgewright": "0.1.0", "onnx": "1.23.2", "onnxruntime": "1.31.1", "torch": "2.13.0"},
    )
    return Report("mobilenet-v2", "x86-avx512-vnni", artifact, MACHINE, latency, accuracy)


def _measured(precision: str, seed: int) -> CandidateResult:
    status, median_ms, gained, lost, size_mb = _MEASURED[precision]
    report = make_report(precision, make_latency(median_ms, seed), gained, lost, size_mb)
    return _judged(precision, status, report)


def _judged(precision: str, status: Status, report: Report) -> CandidateResult:
    verdicts = judge(report, BUDGETS)
    broken = "; ".join(f"{v.budget.text}: {v.reason}" for v in verdicts if v.outcome == "fail")
    reasons = {"selected": "the fastest that meets every budget", "rejected": broken, "eligible": "slower than int8"}
    runtime = report.artifact.runtime
    return CandidateResult(f"{precision} ({runtime})", precision, runtime, status, reasons[status], report, verdicts)
