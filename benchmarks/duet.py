"""Duet measuring against interleaving: the scatter of a model's rounds against itself, one after another or at once.

    python -m benchmarks.duet | tee benchmarks/results/duet.txt

In a duet, both sides of a round run at the same moment, each held on a processor of its own; the two are exchanged at
random, and compared pair by pair, since what slows the machine slows both (Bulej, Horky, Tuma, Farquet and Prokopec,
2020, Duet benchmarking: improving measurement accuracy in the cloud, ICPE, arXiv 2001.05811). That needs two processors
whose work does not disturb each other, so rounds of both kinds are measured by turns. A setting's rows:

    alone        one process after another on one processor, as the gate does
    duet         both at once on two processors
    disturbance  change of p50 beside a twin against p50 alone, with its exact 95% interval; a duet is of use if small

The columns: the spread of a round's change (1.4826 times the median absolute deviation of its logarithm), the change
that 40 such rounds would show with 95% power, rounds that nothing interrupted, seconds a round, and the change that as
many rounds would show as fit into 20 s. All rounds count here, disturbed or not. Settings: as the machine is, and with
a neighbour of the benchmark's own on the first processor, or on both (`benchmarks.gate_real`).
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import random
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.gate_real import neighbour
from benchmarks.stack import LAYERS, pack_stack
from hwbench.budgets.budget import parse
from hwbench.formats.sections.provenance import describe
from hwbench.gate.gate import sampling_plan
from hwbench.gate.sides import Side, bundle_side
from hwbench.machine.identity import this_machine
from hwbench.measurements.interference import interruption
from hwbench.results.opened_bundle import open_bundle
from hwbench.stats import intervals
from hwbench.stats.confidence_sequences import detectable_shift
from hwbench.targets.local import LocalTarget
from runtimes.sampling.closed_loop import Block
from runtimes.tensors import Array

BUDGET = parse("p50<=+5%")
_SHOWN, _TIME_S = 40, 20.0
_ROW = "{:<14}{:<14}{:>9}{:>11}{:>14}{:>10}{:>12}"


def main() -> None:
    """Measure every setting and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, help="rounds of each kind and setting")
    parser.add_argument("--settings", default="as it is,first,both", help="which of: as it is, first, both")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    neighbours = {"as it is": [], "first": cores[:1], "both": cores}
    print(f"{describe(this_machine())}; p50 of a model against itself")
    print(f"{os.getloadavg()[0]:.1f} processes wanted one of the {os.cpu_count()} processors when it began\n")
    heads = ("spread", "40 rounds", "undisturbed", "s a round", "20 s")
    print(_ROW.format("neighbour", "", *heads), flush=True)
    with tempfile.TemporaryDirectory() as work:
        item = open_bundle(pack_stack(LAYERS, Path(work)))
        side = bundle_side(item, LocalTarget(), sampling_plan([BUDGET]), Path(work, "inputs.npz"))
        for setting in options.settings.split(","):
            with contextlib.ExitStack() as stack:
                for core in neighbours[setting]:
                    stack.enter_context(neighbour(core))
                _measure(setting, side, cores, options.rounds)
    print(f"\n{os.getloadavg()[2]:.1f} in the last 15 minutes when it ended")


def _measure(setting: str, side: Side, cores: Sequence[int], rounds: int) -> None:
    """Measure rounds of both kinds by turns, since the machine changes, and print their rows."""
    order, kinds = random.Random(0), {"alone": _alone, "duet": _duet}
    pairs: dict[str, list[tuple[Block, Block]]] = {kind: [] for kind in kinds}
    seconds = dict.fromkeys(kinds, 0.0)
    for _ in range(rounds):
        for kind in order.sample(list(kinds), len(kinds)):
            start = time.monotonic()
            pairs[kind].append(kinds[kind](side, order.sample(cores, 2)))
            seconds[kind] += time.monotonic() - start
    for kind, blocks in pairs.items():
        changes = _logs(blocks)
        each_s = seconds[kind] / rounds
        shown = [math.expm1(detectable_shift(changes, n)) for n in (_SHOWN, int(_TIME_S / each_s))]
        quiet = sum(not any(map(interruption, pair)) for pair in blocks)
        cells = (
            f"{1.4826 * np.median(np.abs(changes - np.median(changes))):.1%}",
            *(_shown(change) for change in shown),
        )
        text = _ROW.format(setting, kind, cells[0], cells[1], f"{quiet} of {rounds}", f"{each_s:.2f}", cells[2])
        print(text, flush=True)
    beside, alone = ([block for pair in pairs[kind] for block in pair] for kind in ("duet", "alone"))
    change = intervals.quantile(np.expm1(_logs(list(zip(beside, alone)))), 0.5)
    print(f"{setting:<14}disturbance   {change.value:+.1%} ({change.low:+.1%} to {change.high:+.1%})", flush=True)


def _alone(side: Side, cores: Sequence[int]) -> tuple[Block, Block]:
    return _on(cores[0], side), _on(cores[0], side)


def _duet(side: Side, cores: Sequence[int]) -> tuple[Block, Block]:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(_on, cores, (side, side))
    return first, second


def _on(core: int, side: Side) -> Block:
    """Measure a block whose process is held on a processor: it inherits that of the thread that starts it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        return side()
    finally:
        os.sched_setaffinity(0, before)


def _logs(pairs: Sequence[tuple[Block, Block]]) -> Array:
    return np.log([np.median(a.samples_ns) / np.median(b.samples_ns) for a, b in pairs])


def _shown(change: float) -> str:
    return f"{change:.1%}" if math.isfinite(change) else "none"


if __name__ == "__main__":
    main()
