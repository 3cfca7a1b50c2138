"""Claims of the gate's self-test, held against the truth, on recorded and on synthetic noise.

    python -m benchmarks.self_test_simulation [SELF-TESTS] | tee benchmarks/results/self_test_simulation.txt

A simulated self-test does what `edgewright gate --self-test` does: a pilot of the model against itself chooses the
limit, gates of the unchanged model and of one that is slower by twice the limit follow by turns, and all rounds of the
unchanged model recommend a limit. Rounds are drawn as in `benchmarks.gate_simulation`, and the gates are those that
ship. The truth about a limit is counted by many more gates. The table's columns:

    limit        the recommended one: the median, and the range of nine in ten self-tests
    false fail   gates at the recommended limit, with a true change just below it; at most 1% is claimed
    false pass   the same just above it
    pass same    gates of the unchanged model at that limit that pass; at least 95% is claimed
    fail twice   gates of a model slower by twice the limit that fail; at least 95% is claimed
    covered      self-tests whose exact intervals, of 95%, hold the true shares of wrong verdicts of their gates
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import numpy as np

from benchmarks.gate_simulation import DrawnRounds
from benchmarks.populations import BLOCK_S, SYNTHETIC, Population, recorded, synthetic
from hwbench.budgets.budget import Budget
from hwbench.gate import gate_self_test as product
from hwbench.gate.rounds import Rounds
from hwbench.gate.stopping_rule import decide
from hwbench.stats import intervals

GATES = 20
"""Number of gates of each kind in a self-test, as the command line has it."""
MAX_TIME_S = 20.0
TRUTH = 250
"""Number of gates that tell the truth about a limit."""
_RECORDING = Path(__file__).parent / "data" / "noise.npz"
_QUANTITY = "p90"
_ROUND_S = 2 * BLOCK_S


def main(tests: int) -> None:
    """Print a row per machine."""
    rng, start = np.random.default_rng(0), time.monotonic()
    populations = [recorded(_RECORDING), *(synthetic(name, rng) for name in SYNTHETIC)]
    numbers = [tests, *[max(tests // 5, 1)] * len(SYNTHETIC)]
    print(f"Self-tests of {GATES} gates of each kind, at most {MAX_TIME_S:g} s a gate, {_QUANTITY}: {tests} on")
    print(f"recorded noise ({tests * GATES * 2:,} gates), {tests // 5} on others; {TRUTH} more for each truth\n")
    heads = ("limit", "false fail", "false pass", "pass same", "fail twice", "covered")
    print(f"{'':26}{heads[0]:>20}" + "".join(f"{head:>12}" for head in heads[1:]))
    with ProcessPoolExecutor() as pool:
        for population, row in zip(populations, pool.map(_row, populations, numbers)):
            print(f"{population.name:26}{row}", flush=True)
    print(f"\n{time.monotonic() - start:.0f} s")


def _row(population: Population, tests: int) -> str:
    rng = np.random.default_rng((7, len(population.name)))

    @cache
    def share(limit: float, slowdown: float, outcome: str) -> float:
        """Count gates of this limit and this true change that end so."""
        return _gates(population, limit, slowdown, TRUTH, rng)[0][outcome] / TRUTH

    limits, covered, refused = [], 0, 0
    for _ in range(tests):
        pilot = _rounds(population, 0.0, product._PILOT_ROUNDS, rng)
        asked = _limit_of(pilot)
        if asked is None:
            refused += 1
            continue
        same, rows = _gates(population, asked, 0.0, GATES, rng)
        slow, _ = _gates(population, asked, 2 * asked, GATES, rng)
        claims = ((same["fail"], share(asked, 0.0, "fail")), (slow["pass"], share(asked, 2 * asked, "pass")))
        bounds = [(intervals.proportion(wrong, GATES), truth) for wrong, truth in claims]
        covered += all(interval.low <= truth <= interval.high for interval, truth in bounds)
        limits.append(_limit_of(_together(population, pilot, rows)))
    found = sorted(limit for limit in limits if limit is not None)
    if not found:
        return f"{'none held':>20}"
    recommended = Counter(found)

    def average(slowdown_of: float, outcome: str, beside: float = 0.0) -> str:
        shares = [count * share(limit, slowdown_of * limit + beside, outcome) for limit, count in recommended.items()]
        return f"{sum(shares) / len(found):>12.1%}"

    low, median, high = (found[int(q * (len(found) - 1))] for q in (0.05, 0.5, 0.95))
    text = f"{median:.1%} ({low:.1%} to {high:.1%})"
    row = f"{text:>20}{average(1, 'fail', -1e-9)}{average(1, 'pass', 1e-9)}{average(0, 'pass')}{average(2, 'fail')}"
    row += f"{covered / max(len(limits), 1):>12.1%}"
    none = refused + len(limits) - len(found)
    return f"{row}  ({none} held no limit)" if none else row


def _gates(
    population: Population, limit: float, slowdown: float, gates: int, rng: np.random.Generator
) -> tuple[Counter[str], list[np.ndarray]]:
    """Run gates; count their outcomes, and return the rows that each drew."""
    budget, outcomes, drawn = Budget("limit", _QUANTITY, limit, True), Counter[str](), []
    for _ in range(gates):
        rows, taken = population.rows(rng, int(MAX_TIME_S / _ROUND_S) + 2), [0]

        def take(rows: np.ndarray = rows, taken: list[int] = taken) -> Rounds:
            taken[0] += 1
            return DrawnRounds(population, rows[: taken[0]], slowdown, 2)

        decided, _ = decide(take, [budget], MAX_TIME_S, clock=partial(_seconds, taken))
        outcomes[decided["limit"].outcome] += 1
        drawn.append(rows[: taken[0]])
    return outcomes, drawn


def _seconds(taken: list[int]) -> float:
    return taken[0] * _ROUND_S


def _rounds(population: Population, slowdown: float, number: int, rng: np.random.Generator) -> DrawnRounds:
    return DrawnRounds(population, population.rows(rng, number), slowdown, 2)


def _together(population: Population, pilot: DrawnRounds, rows: list[np.ndarray]) -> DrawnRounds:
    return DrawnRounds(population, np.concatenate([vars(pilot)["rows"], *rows]), 0.0, 2)


def _limit_of(rounds: Rounds) -> float | None:
    """Choose the limit as a self-test does; None if none would be held."""
    return product._rounded(product._smallest(rounds, Budget("limit", _QUANTITY, 0.05, True), MAX_TIME_S, _ROUND_S))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
