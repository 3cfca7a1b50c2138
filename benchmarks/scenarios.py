"""All four scenarios of MLPerf Inference on a real model, and throughput against latency up to saturation.

    python -m benchmarks.scenarios | tee benchmarks/results/scenarios.txt

EfficientNet-lite0, int8 by our own quantizer, one thread an inference, as `edgewright measure --scenario` measures, in
runs of a second or so, where MLPerf asks for ten minutes: these are no MLPerf results. Single stream is our own closed
loop, every other load is LoadGen's. A multi stream of one sample is the same load as single stream, so those two rows
must agree.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.accuracy import FLOWS
from benchmarks.zoo import efficientnet
from hwbench import budget, devices, scenarios
from hwbench.bundles import measure_bundles
from hwbench.field import Entry, Field
from hwbench.formats import _rates
from hwbench.formats._provenance import describe, method
from hwbench.gate import Verdict
from hwbench.machine import this_machine
from hwbench.report import NotMeasuredError, Report
from hwbench.scenarios import Ask
from hwbench.targets.local import LocalTarget
from runtimes.sampling import SamplingPlan
from toolchain.single import pack_as_is

BOUND = budget.parse("p99<=50ms")
PLAN = SamplingPlan(min_runs=120, duration_s=0.5)
_COLUMNS = ("p50", "p90", "p99", "throughput")


def main() -> None:
    """Measure each scenario and print both tables."""
    machine = this_machine()
    with tempfile.TemporaryDirectory() as work:
        model = Path(work, "efficientnet-lite0.onnx")
        FLOWS["ours int8"](efficientnet.prepare(), model)
        bundle = pack_as_is(model, devices.detect(machine), 1, Path(work))
        print(f"{describe(machine)}\n")
        print("".join(f"{head:>10}" for head in ("p50 ms", "p90 ms", "p99 ms", "per s")))
        _print(measure_bundles([bundle], LocalTarget(), PLAN, _say_nothing)[0])
        for ask in (Ask("multi_stream", PLAN, batch=1), Ask("multi_stream", PLAN), Ask("offline", PLAN)):
            _print(scenarios.measure(bundle, ask, _say_nothing)[0])
        report, verdicts = scenarios.measure(bundle, Ask("server", PLAN, bound=BOUND), _say_nothing)
        _print(report)
    _print_rates(report, verdicts)


def _print(report: Report) -> None:
    assert report.latency is not None
    print("".join(f"{_figure(report, quantity):>10}" for quantity in _COLUMNS), "", method(report.latency), flush=True)


def _figure(report: Report, quantity: str) -> str:
    try:
        return f"{report.estimate(quantity).value:.2f}"
    except NotMeasuredError:
        return "-"


def _print_rates(report: Report, verdicts: tuple[Verdict, ...]) -> None:
    entry = Entry("int8", "int8", "onnxruntime", "measured", "", report, verdicts)
    table = _rates.table(Field(report.model, report.profile, (BOUND,), (entry,)))
    assert table is not None
    print(f"\nserver, {BOUND.text}: {verdicts[0].outcome}, {verdicts[0].reason}\n")
    for line in (table.heads, *table.lines):
        print("".join(f"{cell:>14}" for cell in line[:-1]), "", line[-1])
    print(f"\n{table.note}")


def _say_nothing(_: str) -> None:
    return


if __name__ == "__main__":
    main()
