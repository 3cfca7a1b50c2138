"""Cost of measuring: our closed loop's own time per sample, and LoadGen's; and whether the two agree on a model.

    python -m benchmarks.overhead | tee benchmarks/results/overhead.txt

Needs `mlcommons-loadgen`, which has wheels for x86-64. LoadGen runs MLPerf's single stream: it issues the next query
when the last one is done. In the first table the model does nothing, so what is left is the loop: `in a sample` is what
a latency contains too much, `between` what the throughput loses. In the second, both loops run the stack of 40 layers
in this process, by turns.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mlperf_loadgen as loadgen
import numpy as np

from benchmarks.stack import LAYERS, pack_stack
from hwbench.formats.sections.provenance import describe
from hwbench.machine.identity import this_machine
from runtimes.bundles.bundle import Bundle
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.inference.load import load
from runtimes.inference.session import Session
from runtimes.sampling.closed_loop import SamplingPlan, sample
from runtimes.tensors import Array, Feeds, TensorSpec

RUNS = 20_000
TURNS = 5


class Nothing(Session):
    """Infers nothing."""

    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        return {}


def main() -> None:
    """Print both tables."""
    print(f"{describe(this_machine())}, LoadGen from mlcommons-loadgen\n")
    specs = (TensorSpec("x", "float32", (1, 4)),)
    session = Nothing(Artifact(Path("none"), "null", "fp32", specs, (), RuntimeSettings(), "", 0, {}))
    feed = {"x": np.zeros((1, 4), np.float32)}
    print(f"{'ns a sample, median':28}{'in a sample':>14}{'between':>12}")
    print(f"{'Session.run alone':28}{_call_ns(lambda: session.run(feed)):>14.0f}{'':>12}")
    for name, measure in (("our closed loop", _ours), ("LoadGen, single stream", _loadgen)):
        inside, wall = measure(session, feed, RUNS)
        print(f"{name:28}{np.median(inside):>14.0f}{wall / len(inside) - np.mean(inside):>12.0f}")
    with tempfile.TemporaryDirectory() as work:
        bundle = pack_stack(LAYERS, Path(work))
        with Bundle(bundle) as opened:
            feed = {k: v[0] for k, v in opened.golden("input", opened.manifest.artifact.inputs).items()}
        with load(bundle) as model:
            _agreement(model, feed)


def _agreement(model: Session, feed: dict[str, Array]) -> None:
    print(f"\n{'p50 / p90 in ms, by turns':28}{'ours':>18}{'LoadGen':>18}")
    for turn in range(TURNS):
        cells = []
        for measure in (_ours, _loadgen):
            inside, _ = measure(model, feed, 1_000)
            p50, p90 = np.quantile(inside, [0.5, 0.9]) / 1e6
            cells.append(f"{p50:.4f} / {p90:.4f}")
        print(f"{f'turn {turn + 1}':28}" + "".join(f"{cell:>18}" for cell in cells))


def _ours(session: Session, feed: dict[str, Array], runs: int) -> tuple[Array, float]:
    """Latencies in ns, and the wall time of all of them, the probe's left out."""
    plan = SamplingPlan(min_runs=runs, max_runs=runs, duration_s=0.0, warmup_limit_s=0.1, time_limit_s=60.0)
    block = sample(session, [feed], plan, 0, None)
    assert block.conditions is not None
    return np.asarray(block.samples_ns, dtype=np.float64), block.conditions.wall_ns - float(sum(block.probe_ns))


def _loadgen(session: Session, feed: dict[str, Array], runs: int) -> tuple[Array, float]:
    """The same from LoadGen; its latencies are in its trace, its rate in its summary."""

    def issue(queries: list[loadgen.QuerySample]) -> None:
        for query in queries:
            session.run(feed)
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(query.id, 0, 0)])

    settings, log = loadgen.TestSettings(), loadgen.LogSettings()
    settings.scenario, settings.mode = loadgen.TestScenario.SingleStream, loadgen.TestMode.PerformanceOnly
    settings.min_query_count = settings.max_query_count = runs
    settings.min_duration_ms = 0
    with tempfile.TemporaryDirectory() as folder:
        log.log_output.outdir, log.enable_trace = folder, True
        sut = loadgen.ConstructSUT(issue, lambda: None)
        qsl = loadgen.ConstructQSL(1, 1, lambda indices: None, lambda indices: None)
        loadgen.StartTestWithLogSettings(sut, qsl, settings, log)
        loadgen.DestroyQSL(qsl)
        loadgen.DestroySUT(sut)
        trace = Path(folder, "mlperf_log_trace.json").read_text()
        summary = Path(folder, "mlperf_log_summary.txt").read_text()
    found = re.findall(r'"issue_start_ns":(\d+),"complete_ns":(\d+)', trace)
    latencies = np.asarray([int(end) - int(start) for start, end in found], dtype=np.float64)
    rate = float(re.findall(r"QPS w/ loadgen overhead\s*: ([\d.]+)", summary)[0])
    return latencies, len(latencies) * 1e9 / rate


def _call_ns(call: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return float(np.median(times))


if __name__ == "__main__":
    main()
