"""Results as a run would leave them, from a seeded generator, for every format's tests."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hwbench import budget, field, gate
from hwbench.accuracy import Accuracy
from hwbench.field import Entry, Field, Results, Status
from hwbench.latency import Latency
from hwbench.machine import Machine
from hwbench.report import Report
from runtimes.artifact import Artifact, RuntimeSettings
from runtimes.sampling import Block
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

_PRECISIONS = {  # precision: status, reason, median in ms, right answers gained and lost, size in MB, memory in MB
    "fp32": ("dropped", "breaks p90<=20ms; int8 is faster", 31.2, 0, 0, 13.96, 148),
    "fp16-storage": ("dropped", "breaks p90<=20ms; int8 is faster", 31.9, 0, 0, 7.02, 149),
    "bf16-storage": ("dropped", "breaks p90<=20ms; int8 is faster", 32.6, 1, 2, 7.02, 151),
    "int8": ("chosen", "the fastest at p90 of those that meet the budgets", 14.6, 2, 3, 3.62, 131),
    "int8-dynamic": ("dropped", "breaks accuracy_drop<=0.01; int8 is faster", 19.4, 1, 31, 3.71, 133),
}
_SKIPPED = {
    "fp16": "ONNX Runtime's CPU provider has no fp16 kernels on x86",
    "bf16": "ONNX Runtime's CPU provider has no bf16 kernels (onnxruntime#28768)",
}


@pytest.fixture(scope="session")
def results() -> Results:
    """Seven candidates, one chosen; a device that was not here; and a field with too few samples."""
    return field.of([measured_field(), elsewhere_field(), few_samples_field()])


@pytest.fixture(scope="session")
def hostile() -> Results:
    """Every free text holds what breaks tables, markup and terminals."""
    return field.of([hostile_field()])


def measured_field() -> Field:
    entries = [_measured(precision, number) for number, precision in enumerate(_PRECISIONS)]
    skipped = [Entry(name, name, "onnxruntime", "skipped", reason) for name, reason in _SKIPPED.items()]
    return Field(
        "mobilenet-v2",
        "x86-avx512-vnni",
        BUDGETS,
        (entries[0], *skipped, *entries[1:]),
        ("The machine is virtual; its neighbours are part of what was measured.",),
        Path("out/mobilenet-v2-x86-avx512-vnni.edge"),
    )


def elsewhere_field() -> Field:
    """For a device that was not here: no latency, so its budget is inconclusive."""
    reason = "raspberry-pi-5 was not here; measure there with: edgewright measure BUNDLE"
    entries = []
    for precision in ("fp32", "int8"):
        status, _, _, gained, lost, size_mb, _ = _PRECISIONS[precision]
        report = dataclasses.replace(
            make_report(precision, None, gained, lost, size_mb), profile="raspberry-pi-5", unmeasured={"latency": reason}
        )
        entries.append(_judged(precision, "chosen" if status == "chosen" else "kept", "the smallest", report))
    caveat = "Latency and peak memory were not measured: this machine is no raspberry-pi-5."
    return Field("mobilenet-v2", "raspberry-pi-5", BUDGETS, tuple(entries), (caveat,))


def few_samples_field() -> Field:
    """One candidate with too few samples for p90 and p99, unsettled; nothing was to be decided."""
    latency = make_latency(14.6, seed=9, runs=4, settled=False)
    report = make_report("int8", latency, 2, 3, 3.62)
    return Field("mobilenet-v2", "x86-avx512-vnni", (), (Entry("int8", "int8", "onnxruntime", "measured", "", report),))


def hostile_field() -> Field:
    entries = [_measured(precision, number) for number, precision in enumerate(_PRECISIONS)]
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
    named.append(Entry(HOSTILE, HOSTILE, HOSTILE, "skipped", HOSTILE))
    return Field(HOSTILE, HOSTILE, BUDGETS, tuple(named), (HOSTILE,), Path(HOSTILE))


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


def _measured(precision: str, seed: int) -> Entry:
    status, reason, median_ms, gained, lost, size_mb, _ = _PRECISIONS[precision]
    report = make_report(precision, make_latency(median_ms, seed), gained, lost, size_mb)
    return _judged(precision, status, reason, report)


def _judged(precision: str, status: Status, reason: str, report: Report) -> Entry:
    verdicts = gate.judge(report, BUDGETS)
    return Entry(precision, precision, "onnxruntime", status, reason, report, verdicts)
