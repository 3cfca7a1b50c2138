"""All four scenarios of MLPerf Inference on a real model, and throughput against latency up to saturation.

    python -m benchmarks.scenarios [BOUND] | tee benchmarks/results/scenarios.txt

EfficientNet-lite0, int8 by our own quantizer, one thread an inference, as `edgewright measure --scenario` measures, in
runs of a second or so, where MLPerf asks for ten minutes: these are no MLPerf results. Single stream is our own closed
loop, every other load is LoadGen's. A multi stream of one sample is the same load as single stream, so those two rows
must agree. `others` is what other programs had of all processors meanwhile. The last table is of a model that does
nothing: what LoadGen, threads and Python add to a latency.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.accuracy import FLOWS
from benchmarks.overhead import Nothing
from benchmarks.zoo import efficientnet
from hwbench.budgets import budget
from hwbench.budgets.verdicts import Verdict
from hwbench.formats.sections import rate_rows
from hwbench.formats.sections.provenance import describe, latency_method
from hwbench.load import scenarios
from hwbench.load.loadgen.drive import TraceRecord, drive, read
from hwbench.load.loadgen.load_plan import LoadPlan
from hwbench.load.loadgen.sample_library import Library
from hwbench.load.scenarios import LoadRequest
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.measurements.report import NotMeasuredError, Report
from hwbench.results.measure_bundles import measure_bundles
from hwbench.results.profile_results import CandidateResult, ProfileResult
from hwbench.targets.local import LocalTarget
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.sampling.closed_loop import Block, SamplingPlan
from runtimes.sampling.system_conditions import SystemMonitor
from runtimes.tensors import TensorSpec
from toolchain.pipeline.pack_model import pack_as_is

BOUND = "p99<=20ms"
PLAN = SamplingPlan(min_runs=120, duration_s=0.5)
_COLUMNS = ("p50", "p90", "p99", "throughput")


def main() -> None:
    """Measure each scenario and print both tables."""
    machine, bound = this_machine(), budget.parse(sys.argv[1] if len(sys.argv) > 1 else BOUND)
    with tempfile.TemporaryDirectory() as work:
        model = Path(work, "efficientnet-lite0.onnx")
        FLOWS["ours int8"](efficientnet.prepare(), model)
        bundle, _ = pack_as_is(str(model), (), device_profiles.detect(machine), 1, Path(work))
        print(f"{describe(machine)}\n")
        print("".join(f"{head:>10}" for head in ("p50 ms", "p90 ms", "p99 ms", "per s", "others")))
        _print(measure_bundles([bundle], LocalTarget(), PLAN, _say_nothing)[0])
        for ask in (
            LoadRequest("multi_stream", PLAN, batch=1),
            LoadRequest("multi_stream", PLAN),
            LoadRequest("offline", PLAN),
        ):
            _print(scenarios.measure(bundle, ask, _say_nothing)[0])
        report, verdicts = scenarios.measure(bundle, LoadRequest("server", PLAN, bound=bound), _say_nothing)
        _print(report)
    _print_rates(report, *verdicts)
    _print_overhead()


def _print(report: Report) -> None:
    assert report.latency is not None
    cells = [*(_figure(report, quantity) for quantity in _COLUMNS), f"{_others(report.latency.blocks):.0%}"]
    print("".join(f"{cell:>10}" for cell in cells), "", latency_method(report.latency), flush=True)


def _others(blocks: Sequence[Block]) -> float:
    """The share of all processors' time that was not the measuring process's."""
    seen = [(block.conditions, block.cpu_ns) for block in blocks if block.conditions is not None]
    busy_ns = sum((conditions.busy_ns or 0) - cpu_ns for conditions, cpu_ns in seen)
    return busy_ns / sum(conditions.wall_ns for conditions, _ in seen) / (os.cpu_count() or 1)


def _figure(report: Report, quantity: str) -> str:
    try:
        return f"{report.estimate(quantity).value:.2f}"
    except NotMeasuredError:
        return "-"


def _print_rates(report: Report, verdict: Verdict) -> None:
    entry = CandidateResult("int8", "int8", "onnxruntime", "measured", "", report, (verdict,))
    table = rate_rows.table(ProfileResult(report.model, report.profile, (verdict.budget,), (entry,)))
    assert table is not None
    print(f"\nserver, {verdict.budget.text}: {verdict.outcome}, {verdict.reason}\n")
    for line in (table.heads, *table.lines):
        print("".join(f"{cell:>14}" for cell in line[:-1]), "", line[-1])
    print(f"\n{table.note}")


def _print_overhead() -> None:
    specs = (TensorSpec("x", "float32", (1, 4)),)
    session = Nothing(Artifact(Path("none"), "null", "fp32", specs, (), RuntimeSettings(), "", 0, {}))
    library = Library(({"x": np.zeros((1, 4), np.float32)},), 1, batched=False)
    print(f"\n{'us a query of nothing':40}{'p50':>10}{'p90':>10}")
    for rate in (100, 1_000, 10_000):
        seen = _drive(session, library, LoadPlan("server", SamplingPlan(), target_per_s=rate), min(2 * rate, 2_000))
        p50, p90 = np.quantile(seen.latencies_ns, [0.5, 0.9]) / 1e3
        print(f"{f'server, {rate:,} per s':40}{p50:>10.1f}{p90:>10.1f}")
    seen = _drive(session, library, LoadPlan("offline", SamplingPlan()), 20_000)
    print(f"{'offline, mean of 20,000':40}{max(seen.latencies_ns) / 20_000 / 1e3:>10.1f}")


def _drive(session: Nothing, library: Library, plan: LoadPlan, queries: int) -> TraceRecord:
    with tempfile.TemporaryDirectory() as logs:
        drive(session, library, plan, queries, Path(logs), SystemMonitor())
        return read(Path(logs), plan, library, queries)


def _say_nothing(_: str) -> None:
    return


if __name__ == "__main__":
    main()
