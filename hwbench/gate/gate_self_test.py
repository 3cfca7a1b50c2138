"""Self-test of the gate: real gates on this machine, of a bundle against itself and slowed on purpose, all counted.

The bundle against itself must not fail. The bundle that does extra work (`runtimes.sampling.extra_work`) is slower by
twice the limit, and must not pass. The smallest limit that this machine can hold comes from the spread of the rounds in
which nothing differed: an unchanged model has to pass, and one at twice the limit to fail, with probability `POWER`.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwbench.budgets.budget import Budget, parse
from hwbench.budgets.outcome import Outcome
from hwbench.gate.gate import sampling_plan
from hwbench.gate.rounds import Rounds
from hwbench.gate.sides import Side, SideError, alternate, bundle_side
from hwbench.gate.stopping_rule import decide
from hwbench.machine import machine_facts
from hwbench.measurements.latency import block_figure
from hwbench.measurements.quantities import PERCENTILES
from hwbench.measurements.report import NotMeasuredError
from hwbench.progress import Tick
from hwbench.results.opened_bundle import open_bundle
from hwbench.stats import intervals
from hwbench.stats.confidence_sequences import ALPHA, POWER
from hwbench.stats.intervals import Estimate
from hwbench.targets import CrashError, Target
from runtimes.errors import UsageError

_PILOT_ROUNDS = 30
_CALIBRATION_ROUNDS = 5
_LIMITS = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5)
_PRODUCT_NS = 1_200.0  # a guess for the first blocks, which then tell


@dataclass(frozen=True)
class Trials:
    """Gates of one kind, counted by their outcome.

    Attributes:
        wrong: those that failed an unchanged model, or passed a slowed one.
        mean_s, longest_s: time of a gate in seconds.
    """

    gates: int
    wrong: int
    inconclusive: int
    mean_s: float
    longest_s: float

    @property
    def error(self) -> Estimate:
        """The probability of a wrong verdict, with its exact interval."""
        return intervals.proportion(self.wrong, self.gates)

    @property
    def undecided(self) -> Estimate:
        """The probability of no verdict, with its exact interval."""
        return intervals.proportion(self.inconclusive, self.gates)


@dataclass(frozen=True)
class SelfTest:
    """The result of a self-test.

    Attributes:
        date: the day, as in 2026-12-01.
        model: name of the model that was gated.
        budget: text of the budget of all gates.
        max_time_s: the longest that a gate could take.
        slowdown: relative change of the slowed model, as all its gates together measured it.
        unchanged, slowed: the gates.
        smallest: the smallest limit that this machine holds in `max_time_s`; None if none was found.
        rounds: number of rounds of the unchanged model that tell `smallest`.
        recommended: the text of a budget, `smallest` rounded up; None if none was found.
    """

    date: str
    model: str
    budget: str
    max_time_s: float
    slowdown: float
    unchanged: Trials
    slowed: Trials
    smallest: float | None
    rounds: int
    recommended: str | None

    @property
    def outcome(self) -> Outcome:
        """Fail if errors exceed 1% beyond chance, inconclusive if half of the gates or more gave no verdict."""
        if any(trials.error.low > ALPHA for trials in (self.unchanged, self.slowed)):
            return "fail"
        undecided = max(trials.undecided.value for trials in (self.unchanged, self.slowed))
        return "inconclusive" if undecided >= 0.5 or self.smallest is None else "pass"

    @property
    def sentence(self) -> str:
        """The result in a clause, for later verdicts."""
        gates, wrong = self.unchanged.gates + self.slowed.gates, self.unchanged.wrong + self.slowed.wrong
        return f"this machine was self-tested {self.date}: {wrong} of {gates} gates at {self.budget} false"


def self_test(
    bundle: Path, budget: Budget | None, gates: int, max_time_s: float, target: Target, tick: Tick, seed: int = 0
) -> SelfTest:
    """Run gates of a bundle against itself, and against itself slowed on purpose, by turns.

    Args:
        bundle: the bundle to gate.
        budget: an upper limit on the change of a percentile; None for p90 and the smallest limit that a pilot of
            `_PILOT_ROUNDS` rounds shows.
        gates: number of gates of each kind.
        max_time_s: limit of each gate.
        target: the machine that measures.
        tick: called after each gate.
        seed: the random seed of the orders within rounds.

    Raises:
        UsageError: the budget is no such limit, this model has no such figure, or no limit up to 50% would be held.
        BackendError: a process that ran the model failed.
    """
    if budget is not None:
        _check_budget(budget)
    item, asked = open_bundle(bundle), budget or parse("p90<=+5%")
    plan, known = sampling_plan([asked]), machine_facts.recall(target.machine).probe_ns
    with tempfile.TemporaryDirectory(prefix="edgewright-") as work:

        def side(products: int) -> Side:
            slowed = dataclasses.replace(plan, extra_products=products)
            return bundle_side(item, target, slowed, Path(work, f"{products}.npz"))

        try:
            pilot, each_s = _pilot(alternate([side(0), side(0)], seed, reference_ns=known))
            tick("pilot")
            smallest = _smallest(pilot, asked, max_time_s, each_s)
            if budget is None:
                if _rounded(smallest) is None:
                    raise UsageError(_too_noisy(pilot, asked, smallest, max_time_s))
                asked = _at_limit(asked, smallest)
            products = _products(side, asked, pilot)
            tick("extra work")
            runs: dict[int, list[_Run]] = {0: [], products: []}
            for number in range(gates):
                for extra, done in runs.items():
                    take = alternate([side(extra), side(0)], seed + number, reference_ns=known)
                    done.append(_run(take, asked, max_time_s))
                    tick(f"{'unchanged' if extra == 0 else 'slowed'}: {done[-1].outcome}")
            return _summarize(item.manifest.model, asked, max_time_s, pilot, *runs.values())
        except SideError as failure:
            raise CrashError(f"The {failure.name}'s process failed: {failure}") from None
        except NotMeasuredError as reason:
            raise UsageError(f"Budget '{asked.text}' cannot be self-tested with this model: {reason}.") from None


@dataclass(frozen=True)
class _Run:
    outcome: Outcome
    seconds: float
    rounds: Rounds


def _summarize(
    model: str, asked: Budget, max_time_s: float, pilot: Rounds, same: Sequence[_Run], slow: Sequence[_Run]
) -> SelfTest:
    rounds = _together([pilot, *(run.rounds for run in same)])
    per_round_s = sum(run.seconds for run in same) / sum(len(run.rounds) for run in same)
    final = _smallest(rounds, asked, max_time_s, per_round_s)
    found = _rounded(final)
    return SelfTest(
        date=datetime.date.today().isoformat(),
        model=model,
        budget=asked.text,
        max_time_s=max_time_s,
        slowdown=_together([run.rounds for run in slow]).median(asked),
        unchanged=_trials(same, "fail"),
        slowed=_trials(slow, "pass"),
        smallest=final if found is not None else None,
        rounds=len(rounds),
        recommended=_at_limit(asked, found).text if found is not None else None,
    )


def _check_budget(budget: Budget) -> None:
    # "peak_memory" begins with a p, too
    if not (budget.relative and budget.quantity in {f"p{percent:g}" for percent in PERCENTILES} and budget.limit > 0):
        raise UsageError(
            f"Budget '{budget.text}' cannot be self-tested: extra work slows inferences down, so give a change of a "
            "percentile above zero, as in p90<=+5%."
        )
    if budget.at:
        raise UsageError(
            f"Budget '{budget.text}' cannot be self-tested: its inferences have the golden samples' sizes; leave out "
            "the part from @ on."
        )


def _run(take: Callable[[], Rounds], budget: Budget, max_time_s: float) -> _Run:
    start = time.monotonic()
    decided, rounds = decide(take, [budget], max_time_s, clock=time.monotonic)
    return _Run(decided[budget.text].outcome, time.monotonic() - start, rounds)


def _trials(runs: Sequence[_Run], wrong: Outcome) -> Trials:
    outcomes, seconds = [run.outcome for run in runs], [run.seconds for run in runs]
    return Trials(
        gates=len(runs),
        wrong=outcomes.count(wrong),
        inconclusive=outcomes.count("inconclusive"),
        mean_s=statistics.fmean(seconds),
        longest_s=max(seconds),
    )


def _pilot(take: Callable[[], Rounds]) -> tuple[Rounds, float]:
    start, rounds = time.monotonic(), take()
    while len(rounds) < _PILOT_ROUNDS:
        rounds = take()
    return rounds, (time.monotonic() - start) / len(rounds)


def _smallest(rounds: Rounds, budget: Budget, max_time_s: float, each_s: float) -> float:
    """Estimate the smallest change that a gate of `max_time_s` shows with probability `POWER`; infinite without one."""
    return rounds.detectable_change(budget, max(int(max_time_s / each_s), 1))


def _rounded(limit: float) -> float | None:
    return next((step for step in _LIMITS if step >= limit), None)


def _at_limit(budget: Budget, limit: float) -> Budget:
    """Write a budget with another limit, rounded up to one of `_LIMITS`."""
    return parse(f"{budget.quantity}<=+{100 * (_rounded(limit) or limit):g}%")


def _too_noisy(rounds: Rounds, budget: Budget, smallest: float, max_time_s: float) -> str:
    shown = f"only a change of {smallest:.0%}" if math.isfinite(smallest) else "no change of any size"
    return (
        f"This machine cannot hold a budget now: gates of {max_time_s:g} s would show {shown} with {POWER:.0%} power "
        f"({rounds.describe_undisturbed(budget)}). Stop other programs, or give more time with --max-time."
    )


def _products(side: Callable[[int], Side], budget: Budget, pilot: Rounds) -> int:
    """Find the number of products that slow the model down by twice a limit.

    Blocks that they slow down by about a half tell the time of one. Their fastest inferences are compared, which
    interference spares longest.
    """
    usual_ms = min(block_figure(block, budget.quantity) for block in pilot.baseline)
    many = max(round(usual_ms * 1e6 / 2 / _PRODUCT_NS), 1)
    take = alternate([side(many), side(0)])
    for _ in range(_CALIBRATION_ROUNDS):
        rounds = take()
    slow_ns, plain_ns = (
        min(min(block.samples_ns) for block in blocks) for blocks in (rounds.candidate, rounds.baseline)
    )
    each_ns = (slow_ns - plain_ns) / many
    each_ns = each_ns if each_ns > _PRODUCT_NS / 10 else _PRODUCT_NS
    return max(round(2 * budget.limit * usual_ms * 1e6 / each_ns), 1)


def _together(parts: Sequence[Rounds]) -> Rounds:
    candidate = tuple(block for part in parts for block in part.candidate)
    return Rounds(candidate, tuple(block for part in parts for block in part.baseline), parts[0].reference_ns)
