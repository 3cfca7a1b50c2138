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
from hwbench.gate.sequential_gate import sampling_plan
from hwbench.instructions.counting import find_counting
from hwbench.machine.identity import this_machine
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
    print(f"{'convolutions':14}{'processes':>10}{'median':>14}{'lowest':>14}{'highest':>14}{'spread':>9}{'s each':>8}")
    with tempfile.TemporaryDirectory() as work:
        for layers, runs in ((12, options.runs), (13, options.runs // 4)):
            bundle, inputs = pack_stack(layers, Path(work, str(layers))), Path(work, f"{layers}.npz")
            write_npz(inputs, open_bundle(bundle).inputs)
            counts, times, begun = [], [], time.monotonic()
            for _ in range(runs):
                counts.append(float(np.median(target.count_instructions(bundle, inputs, counting))))
            each_s = (time.monotonic() - begun) / runs
            for _ in range(runs):
                times.append(block_figure(target.sample(bundle, inputs, sampling_plan()), "p50"))
            _print(layers, "instructions", counts, each_s)
            _print(layers, "p50 in us", [1e3 * each for each in times], 0.0)


def _print(layers: int, what: str, values: list[float], each_s: float) -> None:
    low, middle, high = min(values), float(np.median(values)), max(values)
    spread = f"{(high - low) / middle:.3%}"
    shown = "".join(f"{value:>14,.0f}" for value in (middle, low, high))
    print(f"{layers:>2} {what:11}{len(values):>10}{shown}{spread:>9}{each_s:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
