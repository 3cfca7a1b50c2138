"""How often gates are wrong: ours and four naive ones, on recorded and on synthetic noise.

    python -m benchmarks.gate_simulation [RECORDING.npz...] | tee benchmarks/results/gate_simulation.txt

A gate of ours runs as shipped (`hwbench.gating.decide`, `hwbench.rounds`) on a clock of the simulation's: each block
costs what it costs on the recording machine. Only the samples are drawn, from a population of blocks:

- a recording (`benchmarks.record_noise`), by the stationary bootstrap (Politis and Romano, 1994) with runs of 8 rounds
  on average, so that what lasts for seconds lasts for seconds here;
- synthetic: a model's block has its own level (processes differ), the machine a level that every block and the probe
  feel: constant, drifting, autocorrelated, or slow in bursts; samples inside a block scatter and have a tail.

A slowdown multiplies the candidate's samples. The truth is then known exactly, and the gate is put to the hardest
place, its own limit: there both a pass and a fail are errors, and inconclusive is right. The table's rows:

    false pass   true change just above the limit, verdict pass
    false fail   true change just below the limit, verdict fail
    power        limit +2.5%: 5% slower and verdict fail; unchanged and verdict pass
    inconclusive of those unchanged and 5% slower

The naive gates compare p90 with the same limit and know only pass and fail; at their own limit they are wrong half of
the time, so they are shown on models that are unchanged, and 5% slower, with a limit between the two.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from hwbench.budget import Budget
from hwbench.gating import decide
from hwbench.quiet import WAITED, Surroundings
from hwbench.rounds import NOISE, Observed, Rounds
from runtimes.tensors import Array

GATES = 2_000
MAX_TIME_S = 60.0
LIMIT = 0.025
SLOWER = 0.05
BLOCK_S = 0.25  # a process of 0.1 s of measuring, from start to end: the recording has 1,854 in 7 minutes
QUANTITY = "p90"
RUN = 8  # rounds, on average, that the bootstrap keeps together
SAMPLES = 50
_LEAST_ROUNDS = 50


@dataclass(frozen=True)
class Population:
    """Rounds to draw from: per round and side the block's figure, fastest run, probe and share of time waited.

    Attributes:
        samples_ms: [rounds, 2, samples], for the naive gates; and the figures come from them.
    """

    name: str
    samples_ms: Array
    probe_ns: Array
    waited: Array
    figures: Array
    fastest: Array

    @cached_property
    def met(self) -> dict[str, list[Surroundings]]:
        """What each side's blocks met."""
        return {
            side: [
                Surroundings(float(probe), "waited for a processor" if waited > WAITED else None)
                for probe, waited in zip(self.probe_ns[:, column], self.waited[:, column])
            ]
            for column, side in enumerate(("candidate", "baseline"))
        }

    @cached_property
    def lead(self) -> float:
        """By how much the first column's median round exceeds the second's: chance, which the truth must not have."""
        counts = (self.waited <= WAITED).all(axis=1)
        ratio = self.figures[:, 0] / self.figures[:, 1]
        return float(np.median(ratio[counts] if counts.any() else ratio))

    @property
    def reference_ns(self) -> float:
        """What a machine that was here before remembers of its probe."""
        return float(np.quantile(self.probe_ns, 0.1))

    def truth(self) -> float:
        """The median figure of blocks at the machine's quiet level, which is what a limit in ms is about."""
        quiet = (self.waited <= WAITED) & (np.abs(self.probe_ns / self.reference_ns - 1) <= 0.01)
        return float(np.median(self.figures[quiet]))


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

    def observed(self, side: str, quantity: str) -> Observed:
        """Of the rows drawn."""
        population, rows, factors = (vars(self)[name] for name in ("population", "rows", "factors"))
        column, factor = ("candidate", "baseline").index(side), factors[side]
        figures = factor * population.figures[rows, column]
        return Observed(figures, factor * population.fastest[rows, column] / NOISE, figures)

    def met(self, side: str) -> tuple[Surroundings, ...]:
        """Of the rows drawn."""
        if getattr(self, side) == ():
            return ()
        met = vars(self)["population"].met[side]
        return tuple(met[row] for row in vars(self)["rows"])


def ours(population: Population, budget: Budget, slowdown: float, rng: np.random.Generator) -> tuple[str, float]:
    """One gate's outcome and how long it took."""
    sides = 2 if budget.relative else 1
    rows, taken = _stream(len(population.figures), rng, int(MAX_TIME_S / (sides * BLOCK_S)) + 2), [0]

    def take() -> Rounds:
        taken[0] += 1
        return DrawnRounds(population, rows[: taken[0]], slowdown, sides)

    decided, _ = decide(take, [budget], MAX_TIME_S, clock=lambda: taken[0] * sides * BLOCK_S)
    return decided[budget.text].outcome, taken[0] * sides * BLOCK_S


def _stream(n: int, rng: np.random.Generator, length: int) -> Array:
    """Row numbers in runs of geometric length: the stationary bootstrap."""
    rows = np.empty(length, dtype=np.intp)
    for index in range(length):
        rows[index] = rng.integers(n) if index == 0 or rng.random() < 1 / RUN else (rows[index - 1] + 1) % n
    return rows


# Naive gates: does the candidate exceed the baseline by more than the limit? From samples of one side each.


def one_shot(candidate: Array, baseline: Array) -> bool:
    """p90 of one run against that of one run."""
    return _p90(candidate[0]) > (1 + LIMIT) * _p90(baseline[0])


def best_of_three(candidate: Array, baseline: Array) -> bool:
    """The least p90 of three runs."""
    return min(map(_p90, candidate[:3])) > (1 + LIMIT) * min(map(_p90, baseline[:3]))


def t_test(candidate: Array, baseline: Array) -> bool:
    """Welch's one-sided test on the means of 30 samples each, at 1%."""
    p = stats.ttest_ind(
        candidate[0][:30], (1 + LIMIT) * baseline[0][:30], equal_var=False, alternative="greater"
    ).pvalue
    return bool(p < 0.01)


def stable_windows(candidate: Array, baseline: Array) -> bool:
    """Triton Model Navigator's: windows until the median latency of three in a row is within 10%, then their mean."""
    return _stable(candidate) > (1 + LIMIT) * _stable(baseline)


NAIVE: dict[str, Callable[[Array, Array], bool]] = {
    "one-shot p90": one_shot,
    "best of three": best_of_three,
    "t-test on 30": t_test,
    "three stable windows": stable_windows,
}


def _p90(samples: Array) -> float:
    return float(np.quantile(samples, 0.9))


def _stable(runs: Array) -> float:
    windows = [float(np.median(part)) for run in runs for part in np.array_split(run, 2)]
    for index in range(len(windows) - 2):
        three = windows[index : index + 3]
        if max(three) <= 1.1 * min(three):
            return float(np.mean(three))
    return windows[-1]


def naive(
    gate: Callable[[Array, Array], bool], population: Population, slowdown: float, rng: np.random.Generator
) -> bool:
    """Whether a naive gate fails the candidate: it is measured first, and the baseline right after it."""
    rows = _stream(len(population.figures), rng, 8)
    return gate((1 + slowdown) * population.samples_ms[rows[:4], 0], population.samples_ms[rows[4:], 1])


# Populations


def recorded(path: Path) -> Population:
    """From `benchmarks.record_noise`'s file; blocks are cut to an equal number of samples for the naive gates."""
    with np.load(path) as file:
        data = {name: file[name] for name in file.files}
    parts = np.split(data["samples_ns"].astype(np.float64) / 1e6, data["ends"][:-1])
    parts = parts[: len(parts) // 2 * 2]
    figures = np.asarray([np.quantile(part, 0.9, method="median_unbiased") for part in parts]).reshape(-1, 2)
    fastest = np.asarray([part.min() for part in parts]).reshape(-1, 2)
    n = min(map(len, parts))
    samples = np.stack([part[:n] for part in parts]).reshape(-1, 2, n)
    waited = (np.maximum(data["waited_ns"], data["stolen_ns"]) / data["wall_ns"])[: len(parts)].reshape(-1, 2)
    probe = data["probe_ns"][: len(parts)].astype(np.float64).reshape(-1, 2)
    return Population(f"recorded: {path.stem}", samples, probe, waited, figures, fastest)


def synthetic(name: str, rng: np.random.Generator, rounds: int = 4_000) -> Population:
    """A made-up machine; see the module's docstring."""
    shape = (rounds, 2)
    times = np.arange(2 * rounds).reshape(shape)
    machine, process = np.zeros(shape), rng.normal(0, 0.012, shape)
    if name == "drift":  # 6% up and down within two minutes
        machine = 0.03 * (1 + np.sin(2 * np.pi * times * BLOCK_S / 120))
    if name == "autocorrelated":  # AR(1) over blocks, 1.5% in all
        machine = 0.015 * _ar1(0.8, 2 * rounds, rng).reshape(shape)
    if name == "bursts":  # a quarter of the time slower by a fifth to one half, for five seconds on average
        machine = _bursts(2 * rounds, rng).reshape(shape)
    if name == "two modes":  # three processes in ten come out 6% slower
        process = process + 0.06 * (rng.random(shape) < 0.3)
    if name == "all of it":
        machine = 0.01 * _ar1(0.8, 2 * rounds, rng).reshape(shape) + _bursts(2 * rounds, rng).reshape(shape)
        machine = machine + 0.01 * (1 + np.sin(2 * np.pi * times * BLOCK_S / 120))
        process = process + 0.04 * (rng.random(shape) < 0.3)
    level = 2.0 * np.exp(machine + process)
    inside = np.exp(rng.normal(0, 0.02, (*shape, SAMPLES))) + rng.exponential(0.05, (*shape, SAMPLES)) * (
        rng.random((*shape, SAMPLES)) < 0.08
    )
    samples = level[..., None] * inside
    probe = 130_000 * np.exp(machine + rng.normal(0, 0.008, shape))
    figures = np.quantile(samples, 0.9, axis=-1, method="median_unbiased")
    return Population(f"synthetic: {name}", samples, probe, np.zeros(shape), figures, samples.min(axis=-1))


def _ar1(rho: float, n: int, rng: np.random.Generator) -> Array:
    values, noise = np.empty(n), rng.normal(0, np.sqrt(1 - rho**2), n)
    values[0] = rng.normal()
    for index in range(1, n):
        values[index] = rho * values[index - 1] + noise[index]
    return values


def _bursts(n: int, rng: np.random.Generator) -> Array:
    values, index = np.zeros(n), 0
    while index < n:
        index += rng.geometric(BLOCK_S / 15)
        length = rng.geometric(BLOCK_S / 5)
        values[index : index + length] = rng.uniform(0.2, 0.5)
        index += length
    return values


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path, nargs="*")
    parser.add_argument("--gates", type=int, default=GATES)
    parser.add_argument("--tables", default=",".join(TABLES), help="which of paired, absolute, naive")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    names = ("steady", "drift", "autocorrelated", "bursts", "two modes", "all of it")
    populations = [*_usable(options.recordings), *(synthetic(name, rng) for name in names)]
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
        counted = int((population.waited <= WAITED).all(axis=1).sum())
        print(f"{population.name}: {counted} of {len(population.waited)} rounds undisturbed")
        if counted >= _LEAST_ROUNDS:
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
    return "".join(f"{_naive_cell(gate, _kept[0][index], _kept[1], rng):>22}" for gate in NAIVE.values())


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


def _naive_cell(
    gate: Callable[[Array, Array], bool], population: Population, gates: int, rng: np.random.Generator
) -> str:
    false_fail = np.mean([naive(gate, population, 0.0, rng) for _ in range(gates)])
    false_pass = np.mean([not naive(gate, population, SLOWER, rng) for _ in range(gates)])
    return f"{false_fail:.1%} / {false_pass:.1%}"


# By name: a title, what stands over the columns, and the function that makes a population's row.
TABLES: dict[str, tuple[str, str, Callable[[int], str]]] = {
    "paired": ("Ours against a baseline, limit +2.5%", _heads(), _paired_row),
    "absolute": ("Ours against a limit in ms, 2.5% above the truth", _heads(), _absolute_row),
    "naive": (
        "Naive gates, candidate against baseline, limit +2.5%: unchanged and failed / 5% slower and passed",
        "".join(f"{name:>22}" for name in NAIVE),
        _naive_row,
    ),
}

if __name__ == "__main__":
    main()
