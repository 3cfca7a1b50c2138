"""Spread of instruction counts over processes, beside that of the time.

    python -m benchmarks.instructions | tee benchmarks/results/instructions.txt

Bundles of 12 and of 13 equal convolutions are counted and timed in processes of their own.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.stack import pack_stack
from hwbench.formats.sections.provenance import describe
from hwbench.gate.gate import sampling_plan
from hwbench.machine.identity import this_machine
from hwbench.machine.instruction_counters import find_counting
from hwbench.measurements.latency import block_figure
from hwbench.results.opened_bundle import open_bundle
from hwbench.targets.local import LocalTarget
from runtimes.npz import write as write_npz


def main() -> None:
    """Count, time, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="processes of the first model; the second takes a quarter")
    options = parser.parse_args()
    counting, target = find_counting(), LocalTarget()
    print(f"{describe(this_machine())}\ncounted by {counting.by}\n")
    print(f"{'convolutions':14}{'process':>8}{'instructions':>14}{'p50 in us':>11}{'s':>6}")
    with tempfile.TemporaryDirectory() as work:
        for layers, runs in ((12, options.runs), (13, max(options.runs // 10, 1))):
            bundle, inputs = pack_stack(layers, Path(work, str(layers))), Path(work, f"{layers}.npz")
            write_npz(inputs, open_bundle(bundle).inputs)
            counts, times = [], []
            for run in range(1, runs + 1):
                begun = time.monotonic()
                counts.append(float(np.median(target.count_instructions(bundle, inputs, counting))))
                seconds = time.monotonic() - begun
                times.append(1e3 * block_figure(target.sample(bundle, inputs, sampling_plan()), "p50"))
                print(f"{layers:<14}{run:>8}{counts[-1]:>14,.0f}{times[-1]:>11,.0f}{seconds:>6.0f}", flush=True)
            print(f"{layers:<14}{'spread':>8}{_spread(counts):>14}{_spread(times):>11}", flush=True)


def _spread(values: list[float]) -> str:
    """Write the range as a share of the median."""
    return f"{(max(values) - min(values)) / float(np.median(values)):.3%}"


if __name__ == "__main__":
    main()
