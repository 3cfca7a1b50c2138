"""Measurement of a bundle under LoadGen, in a process of its own.

    python -m hwbench.load.loadgen BUNDLE --inputs FILE.npz --plan JSON --out FILE.json

Exit codes are those of `python -m runtimes`: 0 done; 2 for an error, with a sentence on stderr.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from hwbench.load.loadgen.drive import drive, read
from hwbench.load.loadgen.load_plan import Loaded, LoadPlan
from hwbench.load.loadgen.sample_library import Library, lay_out
from runtimes import files, npz
from runtimes.codec import encode
from runtimes.command_line import exit_code, read_plan
from runtimes.inference.load import load
from runtimes.processes.parent_death import end_with_parent
from runtimes.sample_arrays import Rows
from runtimes.sampling.closed_loop import Block, environment, shapes_of, warm_up
from runtimes.sampling.peak_memory import peak_bytes, resident_bytes
from runtimes.sampling.system_conditions import SystemMonitor


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure once and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m hwbench.load.loadgen", description="Measure a bundle under LoadGen."
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--inputs", type=Path, required=True, help=".npz with an array per input, samples first")
    parser.add_argument("--plan", required=True, help="the load plan, as JSON")
    parser.add_argument("--out", type=Path, required=True, help="where the result's JSON goes")
    options = parser.parse_args(arguments)
    return exit_code(lambda: _write(options))


def _write(options: argparse.Namespace) -> int:
    plan = read_plan(LoadPlan, options.plan)
    with tempfile.TemporaryDirectory(prefix="edgewright-") as logs:
        loaded = _measure(options.bundle, npz.read(options.inputs), plan, Path(logs))
    with files.replacing(options.out) as beside:
        beside.write_text(json.dumps(encode(loaded)))
    return 0


def _measure(bundle: Path, inputs: Mapping[str, Rows], plan: LoadPlan, logs: Path) -> Loaded:
    idle_memory_bytes = resident_bytes()
    start = time.perf_counter_ns()
    with load(bundle, any_machine=True) as session:
        load_ns = time.perf_counter_ns() - start
        if session.serial:  # more workers would only wait for their turn, and not in the order of arrival
            plan = dataclasses.replace(plan, workers=1)
        library = lay_out(session, inputs, plan.samples)
        turns = itertools.count()
        warmup, settled = warm_up(lambda: session.run(library.feed(next(turns))), plan.sampling.warmup_limit_s)
        queries = plan.queries(_each_s(plan, library, warmup))
        monitor = SystemMonitor(on_gpu=session.on_gpu)
        switches, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw, time.process_time_ns()
        conditions = drive(session, library, plan, queries, logs, monitor)
        cpu_ns = time.process_time_ns() - cpu
        preemptions = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - switches
        peak, steady = peak_bytes(), resident_bytes()  # before the trace takes memory
        trace = read(logs, plan, library, queries)
        block = Block(
            samples_ns=trace.latencies_ns,
            warmup_ns=(*library.trial_ns, *warmup),
            settled=settled,
            load_ns=load_ns,
            cpu_ns=cpu_ns,
            preemptions=preemptions,
            idle_memory_bytes=idle_memory_bytes,
            peak_memory_bytes=peak,
            batch=plan.samples if plan.scenario == "multi_stream" else library.each,
            inferences=plan.inferences(library.each),
            steady_memory_bytes=steady,
            conditions=conditions,
            arrivals_ns=() if plan.scenario == "multi_stream" else trace.arrivals_ns,
            environment=environment(session) | _loadgen(),
            shapes=shapes_of(library.feeds),
        )
    return Loaded(block, library.batched, plan.workers)


def _each_s(plan: LoadPlan, library: Library, warmup: Sequence[int]) -> float:
    """Estimate a query's time from the second half of the warm-up; for server, return the time between arrivals."""
    if plan.scenario == "server":
        return 1 / plan.target_per_s
    inference_s = statistics.median(warmup[len(warmup) // 2 :]) / 1e9
    return inference_s * plan.inferences(library.each) / plan.workers


def _loadgen() -> dict[str, str]:
    """Return LoadGen's version; empty if it was built from source and has no package of this name."""
    try:
        return {"mlcommons-loadgen": metadata.version("mlcommons-loadgen")}
    except metadata.PackageNotFoundError:
        return {}


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main())
