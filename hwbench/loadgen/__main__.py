"""Measure a bundle under LoadGen: `python -m hwbench.loadgen BUNDLE --inputs FILE.npz --plan JSON --out FILE.json`.

Exit codes are those of `python -m runtimes`: 0 done; 2 anything else, with a sentence on stderr.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np

from hwbench.loadgen.drive import drive, read
from hwbench.loadgen.library import Library, lay_out
from hwbench.loadgen.plan import Loaded, LoadPlan
from runtimes import arrays, files, plugins
from runtimes.codec import decode, encode
from runtimes.conditions import Watch
from runtimes.errors import EdgewrightError
from runtimes.loading import load
from runtimes.printable import one_line
from runtimes.sampling import Block, memory_bytes, warm_up
from runtimes.session import Session
from runtimes.tensors import Array


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure once and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hwbench.loadgen", description="Measure a bundle under LoadGen.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--inputs", type=Path, required=True, help=".npz with an array per input, samples first")
    parser.add_argument("--plan", required=True, help="the load plan, as JSON")
    parser.add_argument("--out", type=Path, required=True, help="where the result's JSON goes")
    options = parser.parse_args(arguments)
    try:
        plan = decode(LoadPlan, json.loads(options.plan), "--plan")
        loaded = _measure(options.bundle, arrays.read(options.inputs), plan)
        with files.replacing(options.out) as beside:
            beside.write_text(json.dumps(encode(loaded)))
        return 0
    except EdgewrightError as error:
        print(f"Error: {one_line(str(error))}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"Error: {error.strerror or error}; nothing was left half-written.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _measure(bundle: Path, inputs: Mapping[str, Array], plan: LoadPlan) -> Loaded:
    idle_memory_bytes = memory_bytes("VmRSS")
    start = time.perf_counter_ns()
    with load(bundle, any_machine=True) as session:
        load_ns = time.perf_counter_ns() - start
        library = lay_out(session, inputs, plan.samples)
        turns = itertools.count()
        warmup, settled = warm_up(lambda: session.run(library.feed(next(turns))), plan.sampling.warmup_limit_s)
        queries = plan.queries(_each_s(plan, library, warmup))
        watch = Watch(on_gpu=session.on_gpu)
        switches, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw, time.process_time_ns()
        trace = drive(session, library, plan, queries)
        cpu_ns, conditions = time.process_time_ns() - cpu, watch.conditions()
        preemptions = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - switches
        seen = read(trace, plan, library)
        block = Block(
            samples_ns=seen.latencies_ns,
            warmup_ns=tuple(warmup),
            settled=settled,
            load_ns=load_ns,
            cpu_ns=cpu_ns,
            preemptions=preemptions,
            idle_memory_bytes=idle_memory_bytes,
            peak_memory_bytes=memory_bytes("VmHWM"),
            batch=plan.samples if plan.scenario == "multi_stream" else library.each,
            steady_memory_bytes=memory_bytes("VmRSS"),
            conditions=conditions,
            arrivals_ns=() if plan.scenario == "multi_stream" else seen.arrivals_ns,
            environment=_environment(session),
        )
    return Loaded(block, library.batched)


def _each_s(plan: LoadPlan, library: Library, warmup: Sequence[int]) -> float:
    """How long a query will take, by the second half of the warm-up; of server, how often one comes."""
    if plan.scenario == "server":
        return 1 / plan.target_per_s
    inference_s = statistics.median(warmup[len(warmup) // 2 :]) / 1e9
    return inference_s * (plan.samples // library.each if plan.scenario == "multi_stream" else 1 / plan.workers)


def _environment(session: Session) -> dict[str, str]:
    runtime = session.artifact.runtime
    version: str = plugins.load("runtimes.backends", runtime, "runtime").version()
    known = {"python": platform.python_version(), "numpy": np.__version__, runtime: version}
    return known | {"mlcommons-loadgen": metadata.version("mlcommons-loadgen")}


if __name__ == "__main__":
    sys.exit(main())
