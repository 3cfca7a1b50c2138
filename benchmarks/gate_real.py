"""Answers of the gate for real: a model against itself, and slowed on purpose, quiet and beside a noisy neighbour.

    python -m benchmarks.gate_real | tee benchmarks/results/gate_real.txt

The model is a stack of 40 equal layers, so 42 of them are 5% slower and 48 are 20%. Every gate is `gate_bundle` as
`edgewright gate` calls it, `p90<=+2.5%` against the 40 layers, in blocks of 50 ms. All measuring processes are held on
the first processor; the neighbour sorts and copies for a while and rests for a while, on another processor or on that
same one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.stack import LAYERS, pack_stack
from hwbench.budgets.budget import parse
from hwbench.formats.sections.provenance import describe
from hwbench.gate.gate import GatePlan, gate_bundle
from hwbench.machine.identity import this_machine
from hwbench.targets.local import LocalTarget

BUDGET = "p90<=+2.5%"
NEIGHBOUR = """
import random, time
import numpy as np
array, rng = np.random.default_rng(0).random(1 << 20), random.Random(0)
while True:
    end = time.monotonic() + rng.uniform(0.2, 2.0)
    while time.monotonic() < end:
        np.sort(array)
    time.sleep(rng.uniform(0.2, 2.0))
"""


def main() -> None:
    """Run all gates and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unchanged", type=int, default=100, help="gates of the unchanged model, per place")
    parser.add_argument("--slowed", type=int, default=10, help="gates of each slowed model, per place")
    parser.add_argument("--max-time", type=float, default=20.0, help="seconds a gate may take")
    parser.add_argument("--places", default="quiet,other,same", help="which of quiet, other, same")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    places = {"quiet": None, "other": cores[-1], "same": cores[0]}
    here = describe(this_machine())
    os.sched_setaffinity(0, {cores[0]})  # children inherit it
    print(f"{here}\n{BUDGET}, at most {options.max_time:g} s a gate\n")
    print(f"{'neighbour':12}{'model':12}{'gates':>7}{'pass':>7}{'fail':>7}{'inconclusive':>14}{'s a gate':>10}")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        stacks = {extra: pack_stack(LAYERS * (100 + extra) // 100, Path(work, str(extra))) for extra in (0, 5, 20)}
        for place in options.places.split(","):
            with neighbour(places[place]):
                for extra, path in stacks.items():
                    gates = options.slowed if extra else options.unchanged
                    counts, seconds = _gates(path, stacks[0], gates, options.max_time)
                    name = f"{extra}% slower" if extra else "unchanged"
                    cells = (
                        f"{gates:>7}{counts['pass']:>7}{counts['fail']:>7}{counts['inconclusive']:>14}{seconds:>10.1f}"
                    )
                    print(f"{place:12}{name:12}{cells}", flush=True)
    print(f"\n{time.monotonic() - start:.0f} s")


def _gates(candidate: Path, baseline: Path, gates: int, max_time_s: float) -> tuple[Counter[str], float]:
    """The verdicts, and how long a gate took on average."""
    counts: Counter[str] = Counter()
    start = time.monotonic()
    for _ in range(gates):
        plan = GatePlan(max_time_s=max_time_s, block_s=0.05)
        gated = gate_bundle(candidate, baseline, [parse(BUDGET)], LocalTarget(), plan, lambda done: None)
        counts[gated.verdicts[0].outcome] += 1
    return counts, (time.monotonic() - start) / max(gates, 1)


@contextmanager
def neighbour(core: int | None) -> Iterator[None]:
    """A noisy process on a core; none, where there is no core."""
    if core is None:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", NEIGHBOUR], env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        os.sched_setaffinity(process.pid, {core})
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
