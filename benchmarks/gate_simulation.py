"""Errors of gates: ours and four naive ones, on recorded and on synthetic noise.

    python -m benchmarks.gate_simulation [RECORDING.npz...] | tee benchmarks/results/gate_simulation.txt

A gate of ours runs as shipped (`hwbench.gate.stopping_rule.decide`, `hwbench.gate.rounds`) on a clock of the
simulation's: each block costs what it costs on the recording machine. Only the samples are drawn
(`benchmarks.populations`). A slowdown multiplies the candidate's. The truth is then known exactly, and the gate is
put to the hardest place, its own limit: there both a pass and a fail are errors, and inconclusive is right. The
table's rows:

    false pass   true change just above the limit, verdict pass
    false fail   true change just below the limit, verdict fail
    power        limit +2.5%: 5% slower and verdict fail; unchanged and verdict pass
    inconclusive of those unchanged and 5% slower

The naive gates (`benchmarks.naive_gates`) compare p90 with the same limit and know only pass and fail; at their own
limit they are wrong half of the time, so they are shown on models that are unchanged, and 5% slower, with a limit
between the two.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import naive_gates
from benchmarks.populations import BLOCK_S, SYNTHETIC, Population, recorded, synthetic
from hwbench.budgets.budget import Budget
from hwbench.gate.rounds import BlockFigures, Rounds
from hwbench.gate.stopping_rule import decide
from hwbench.measurements.interference import MAX_SLOWDOWN, BlockInterference
from runtimes.tensors import Array

GATES = 2_000
MAX_TIME_S = 60.0
LIMIT = 0.025
SLOWER = 0.05
QUANTITY = "p90"
_LEAST_ROUNDS = 50


class DrawnRounds(Rounds):
    """Rounds whose figures were drawn, where `Rounds` computes them from blocks; all else is the gate's own."""

    def __init__(self, population: Population, rows: Array, slowdown: float, sides: int) -> None:
        blocks = (None,) * len(rows)
        super().__init__(blocks, blocks if sides == 2 else (), population.reference_ns)  # type: ignore[arg-type]
        vars(self).update(
            population=population,
            rows=rows,
            factors={"candidate": 1 + slowdown, "baseline": population.lead if sides == 2 else 1.0},
        )

    def block_figures(self, side: str, quantity: str) -> BlockFigures:
        """Of the rows drawn."""
        population, rows, factors = (vars(self)[name] for name in ("population", "rows", "factors"))
        column, factor = ("candidate", "baseline").index(side), factors[side]
        figures = factor * population.figures[rows, column]
        return BlockFigures(figures, factor * population.fastest[rows, column] / MAX_SLOWDOWN, figures)

    def interference(self, side: str) -> tuple[BlockInterference, ...]:
        """Of the rows drawn."""
        if getattr(self, side) == ():
            return ()
        blocks = vars(self)["population"].interference[side]
        return tuple(blocks[row] for row in vars(self)["rows"])


def ours(population: Population, budget: Budget, slowdown: float, rng: np.random.Generator) -> tuple[str, float]:
    """One gate's outcome and how long it took."""
    sides = 2 if budget.relative else 1
    rows, taken = population.rows(rng, int(MAX_TIME_S / (sides * BLOCK_S)) + 2), [0]

    def take() -> Rounds:
        taken[0] += 1
        return DrawnRounds(population, rows[: taken[0]], slowdown, sides)

    decided, _ = decide(take, [budget], MAX_TIME_S, clock=lambda: taken[0] * sides * BLOCK_S)
    return decided[budget.text].outcome, taken[0] * sides * BLOCK_S


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path, nargs="*")
    parser.add_argument("--gates", type=int, default=GATES)
    parser.add_argument("--tables", default=",".join(TABLES), help="which of paired, absolute, naive")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    populations = [*_usable(options.recordings), *(synthetic(name, rng) for name in SYNTHETIC)]
    start, half = time.monotonic(), f"+-{100 * 1.96 * np.sqrt(0.01 * 0.99 / options.gates):.1f} points at 1%"
    print(f"{options.gates} gates a figure ({half}), at most {MAX_TIME_S:g} s each, {QUANTITY}\n")
    with ProcessPoolExecutor(initializer=_keep, initargs=(populations, options.gates)) as pool:
        for table in options.tables.split(","):
            title, heads, row_of = TABLES[table]
            print(f"{title}\n{'':30}{heads}")
            for population, row in zip(populations, pool.map(row_of, range(len(populations)))):
                print(f"{population.name:30}{row}", flush=True)
            print()
    print(f"{time.monotonic() - start:.0f} s")


def _usable(paths: Sequence[Path]) -> list[Population]:
    """Recordings with enough undisturbed rounds to draw a gate from; on the others every gate is inconclusive."""
    usable = []
    for population in map(recorded, paths):
        print(f"{population.name}: {population.undisturbed} of {len(population.waited)} rounds undisturbed")
        if population.undisturbed >= _LEAST_ROUNDS:
            usable.append(population)
    return usable


_kept: list[Any] = []  # of a worker: all populations and the number of gates, sent once


def _keep(populations: list[Population], gates: int) -> None:
    _kept[:] = [populations, gates]


def _paired_row(index: int) -> str:
    return _row(_kept[0][index], True, _kept[1], np.random.default_rng((1, index)))


def _absolute_row(index: int) -> str:
    return _row(_kept[0][index], False, _kept[1], np.random.default_rng((2, index)))


def _naive_row(index: int) -> str:
    rng = np.random.default_rng((3, index))
    return "".join(f"{_naive_cell(gate, _kept[0][index], _kept[1], rng):>22}" for gate in naive_gates.GATES.values())


def _heads() -> str:
    heads = ("false pass", "false fail", "pass same", "fail 5%", "incl. same", "incl. 5%", "s same", "s 5%")
    return "".join(f"{head:>12}" for head in heads)


def _row(population: Population, relative: bool, gates: int, rng: np.random.Generator) -> str:
    limit = LIMIT if relative else population.truth() * (1 + LIMIT)
    budget = Budget("limit", QUANTITY, limit, relative)

    def run(slowdown: float) -> tuple[Array, Array]:
        results = [ours(population, budget, slowdown, rng) for _ in range(gates)]
        return np.asarray([outcome for outcome, _ in results]), np.asarray([seconds for _, seconds in results])

    above, _ = run(LIMIT + 1e-9)
    below, _ = run(LIMIT - 1e-9)
    same, same_s = run(0.0)
    slow, slow_s = run(SLOWER)
    shares: Sequence[float] = (
        (above == "pass").mean(),
        (below == "fail").mean(),
        (same == "pass").mean(),
        (slow == "fail").mean(),
        (same == "inconclusive").mean(),
        (slow == "inconclusive").mean(),
    )
    return "".join(f"{share:>12.1%}" for share in shares) + f"{same_s.mean():>12.1f}{slow_s.mean():>12.1f}"


def _fails(gate: naive_gates.Gate, population: Population, slowdown: float, rng: np.random.Generator) -> bool:
    """Tell whether a naive gate fails the candidate: it is measured first, and the baseline right after it."""
    rows = population.rows(rng, 8)
    return gate((1 + slowdown) * population.samples_ms[rows[:4], 0], population.samples_ms[rows[4:], 1], LIMIT)


def _naive_cell(gate: naive_gates.Gate, population: Population, gates: int, rng: np.random.Generator) -> str:
    false_fail = np.mean([_fails(gate, population, 0.0, rng) for _ in range(gates)])
    false_pass = np.mean([not _fails(gate, population, SLOWER, rng) for _ in range(gates)])
    return f"{false_fail:.1%} / {false_pass:.1%}"


# By name: a title, what stands over the columns, and the function that makes a population's row.
TABLES: dict[str, tuple[str, str, Callable[[int], str]]] = {
    "paired": ("Ours against a baseline, limit +2.5%", _heads(), _paired_row),
    "absolute": ("Ours against a limit in ms, 2.5% above the truth", _heads(), _absolute_row),
    "naive": (
        "Naive gates, candidate against baseline, limit +2.5%: unchanged and failed / 5% slower and passed",
        "".join(f"{name:>22}" for name in naive_gates.GATES),
        _naive_row,
    ),
}

if __name__ == "__main__":
    main()
