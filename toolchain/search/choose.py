"""Choice of the candidate to pack, with the reason why each of the others was not selected.

Speed is the p50, in the search, in the choice and in the headline of a report: short measurements can tell it, and a
noisy machine changes it least. Budgets limit the tail.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwbench.budgets.outcome import Outcome
from hwbench.budgets.verdicts import Verdict, overall
from hwbench.results.profile_results import Status
from hwbench.results.unsettled import Unsettled
from hwbench.stats.intervals import Estimate
from toolchain.search import margin
from toolchain.search.trials import Trial

_SLIGHT = 0.001  # of a score: a smaller difference decides nothing, however certain it is
_SAME_SIZE = 1.05  # times the smallest file: up to this ratio, sizes count as equal
_BETTER = 1.03  # times as fast, or as small: a smaller gain is worth no more samples
_PROBABLY = 0.5  # a budget that is met with a smaller probability is not probably met


@dataclass(frozen=True)
class JudgedTrial:
    """A trial that was scored or measured, with the verdict on each budget."""

    trial: Trial
    verdicts: tuple[Verdict, ...]

    @property
    def name(self) -> str:
        """The candidate's name."""
        return self.trial.name

    @property
    def runtime(self) -> str:
        """The candidate's runtime."""
        return self.trial.candidate.runtime

    @property
    def outcome(self) -> Outcome:
        """The worst verdict."""
        return overall(self.verdicts)

    @property
    def speed(self) -> Estimate | None:
        """The p50 in milliseconds with its confidence interval; None if it was not measured well enough."""
        try:
            return self.trial.latency.percentile(50) if self.trial.latency is not None else None
        except ValueError:  # too few samples for an interval
            return None

    @property
    def size_bytes(self) -> int:
        """The artifact's size."""
        assert self.trial.artifact is not None
        return self.trial.artifact.size_bytes

    @property
    def is_behind(self) -> bool:
        """True if its measurement ended early: another one was clearly faster, or accurate where it was not.

        The other one met every budget as far as the samples told, which may be too few for any model to pass.
        """
        return self.trial.behind is not None


@dataclass(frozen=True)
class Decision:
    """The status that a candidate has in the report, and the reason for it."""

    status: Status
    reason: str

    @property
    def is_selected(self) -> bool:
        """True of the candidate to pack."""
        return self.status == "selected"


def choose(trials: Sequence[JudgedTrial]) -> Mapping[str, Decision]:
    """Decide on every judged trial; at most one is selected.

    Only trials that meet every budget take part; if there are none, the inconclusive ones do. A trial that breaks a
    budget is never selected. The rules, in order:

    1. Trials are tied for the fastest if their p50 is at most the smallest upper confidence bound among all, or within
       the margin of `margin.CLEARLY_FASTER`. If the measurements are too short for intervals, those of screening decide
       by that margin. If no trial was timed, the smallest file on the runtime that the profile lists first is selected.
    2. Of tied trials, those that are certainly less accurate than another are left out, then those whose file is
       larger by a few percent or more.
    3. The simplest recipe of the remaining ones is selected.

    A trial that is behind (`JudgedTrial.is_behind`) takes part only if no other is left, since interference may have
    slowed the others down after its own measurement ended.

    Args:
        trials: the trials that neither failed nor were rejected, in the order tried.

    Returns:
        The decision on each trial, by the candidate's name.
    """
    able = [judged for judged in trials if judged.outcome == "pass"]
    able = able or [judged for judged in trials if judged.outcome == "inconclusive"]
    pool = [judged for judged in able if not judged.is_behind] or able
    bar = _bar(pool)
    screened = margin.as_fast_in_screening([judged.trial for judged in pool]) if bar is None else []
    if screened:
        pool = [judged for judged in pool if judged.trial in screened]
    elif bar is None and pool:  # no trial was timed; the first one is on the runtime that the profile lists first
        pool = [judged for judged in pool if judged.runtime == pool[0].runtime]
    tied = [judged for judged in pool if _is_as_fast(judged, bar)]
    winner = _best(tied, timed=bar is not None or bool(screened)) if tied else None
    if winner is None:
        return {judged.name: _rejected(judged, "fail") for judged in trials}
    why = _why_selected(winner, tied, alone=len(able) == 1)
    return {
        judged.name: Decision("selected", why) if judged is winner else _decide(judged, winner, bar)
        for judged in trials
    }


def find_unsettled(judged: Sequence[JudgedTrial], decisions: Mapping[str, Decision], asked: float) -> Unsettled | None:
    """Find the best candidate that only the uncertainty of its accuracy kept from being selected; None without one.

    Args:
        judged: the trials that `choose` decided on.
        decisions: its decisions.
        asked: the confidence that a verdict on accuracy took.
    """
    selected = next((one for one in judged if decisions[one.name].is_selected), None)
    if selected is None or selected.outcome != "pass":
        return None
    gains = {one.name: _gain(one, selected) for one in judged}
    able = [one for one in judged if gains[one.name] >= _BETTER and _is_probable(one)]
    best = max(able, key=lambda one: gains[one.name], default=None)
    if best is None:
        return None
    doubtful = min(_open(best), key=_probability)
    return Unsettled(
        best.name,
        f"{gains[best.name]:.2g}x {'faster' if selected.speed is not None else 'smaller'}",
        doubtful.budget.text,
        _probability(doubtful),
        asked,
        doubtful.needed,
        math.floor(100 * _probability(doubtful)) / 100,
    )


def _decide(judged: JudgedTrial, winner: JudgedTrial, bar: JudgedTrial | None) -> Decision:
    if judged.outcome == "fail":
        return _rejected(judged, "fail")
    if judged.outcome == "inconclusive" and winner.outcome == "pass":
        return _rejected(judged, "inconclusive")
    if judged.is_behind and not winner.is_behind:
        return Decision("eligible", "")  # the trial's own reason says it all
    return Decision("eligible", _why_not(judged, winner, bar))


def _rejected(judged: JudgedTrial, outcome: Outcome) -> Decision:
    verdicts = [verdict for verdict in judged.verdicts if verdict.outcome == outcome]
    evidence = "; ".join(f"{verdict.budget.text}: {verdict.reason}" for verdict in verdicts)
    return Decision("rejected", evidence if outcome == "fail" else f"{outcome}: {evidence}")


def _bar(pool: Sequence[JudgedTrial]) -> JudgedTrial | None:
    """Find the trial with the smallest upper confidence bound of the p50; None if none was timed."""
    timed = [(speed.high, index) for index, judged in enumerate(pool) if (speed := judged.speed) is not None]
    return pool[min(timed)[1]] if timed else None


def _is_as_fast(judged: JudgedTrial, bar: JudgedTrial | None) -> bool:
    if bar is None:
        return True
    mine, best = judged.speed, bar.speed
    return mine is not None and best is not None and margin.is_as_fast(mine, best)


def _best(tied: Sequence[JudgedTrial], *, timed: bool) -> JudgedTrial:
    """Select among tied trials. If none was timed, the size decides alone, in place of the speed."""
    return min(_small(_accurate(tied)), key=_complexity) if timed else min(tied, key=lambda judged: judged.size_bytes)


def _accurate(tied: Sequence[JudgedTrial]) -> list[JudgedTrial]:
    """Leave out trials that are certainly less accurate than another."""
    return [judged for judged in tied if not any(_loss(judged, other) for other in tied)]


def _small(tied: Sequence[JudgedTrial]) -> list[JudgedTrial]:
    """Leave out trials whose file is larger than the smallest by more than a few percent."""
    smallest = min(judged.size_bytes for judged in tied)
    return [judged for judged in tied if judged.size_bytes <= _SAME_SIZE * smallest]


def _loss(judged: JudgedTrial, other: JudgedTrial) -> float | None:
    """Estimate how much less accurate one trial is than another; None if that is uncertain or slight."""
    mine, others = judged.trial.accuracy, other.trial.accuracy
    if mine is None or others is None or judged is other:
        return None
    try:
        drop = dataclasses.replace(mine, reference=others, is_source=False).drop()
    except ValueError:  # too few samples for an interval
        return None
    return drop.value if drop is not None and drop.low > _SLIGHT * abs(others.value) else None


def _complexity(judged: JudgedTrial) -> tuple[int, ...]:
    """Make the key that orders trials: the simplest recipe first, then the smallest file."""
    return *_extras(judged), judged.size_bytes


def _extras(judged: JudgedTrial) -> tuple[int, int, int]:
    """Count the kept nodes, runtime options and corrections of a candidate, which make it less simple in this order."""
    candidate = judged.trial.candidate
    return len(candidate.recipe.keep), len(candidate.settings.options), len(candidate.recipe.corrections)


def _why_selected(winner: JudgedTrial, tied: Sequence[JudgedTrial], *, alone: bool) -> str:
    """Name the rule of `choose` that decided."""
    if winner.outcome == "inconclusive":
        return "the best of those that break no budget; the verdicts show the inconclusive ones"
    if winner.speed is None and winner.trial.speed_ms is not None:
        return "the best in screening of those that meet every budget; it was measured too briefly for an interval"
    if winner.speed is None:
        return "the smallest that meets the budgets; latency was not measured on this machine"
    if alone:
        return "the only one that meets every budget"
    if len(tied) == 1:
        return "the fastest that meets every budget"
    accurate = _accurate(tied)
    small = _small(accurate)
    simple = [judged for judged in small if _extras(judged) == _extras(winner)]
    least = [judged for judged in simple if judged.size_bytes == winner.size_bytes]
    steps = zip(
        ("accuracy", "size", "simplicity", "a few bytes"),
        itertools.pairwise(map(len, (tied, accurate, small, simple, least))),
    )
    decided = " and ".join(name for name, (before, after) in steps if after < before)
    how = f"the best by {decided}" if decided else "the first"
    return f"{how} of the {len(tied)} fastest that meet every budget, whose speeds cannot be told apart"


def _why_not(judged: JudgedTrial, winner: JudgedTrial, bar: JudgedTrial | None) -> str:
    sizes = f"({judged.size_bytes / 1e6:.3g} against {winner.size_bytes / 1e6:.3g} MB)"
    if bar is None and winner.trial.speed_ms is not None:
        shown = f"p50 {judged.trial.speed_ms:.3g}" if judged.trial.speed_ms is not None else "not measured"
        return f"no better in screening than {winner.name} ({shown} against {winner.trial.speed_ms:.3g} ms)"
    if bar is None and judged.runtime != winner.runtime:
        return f"latency was not measured on this machine, and the profile lists {winner.runtime} first"
    if bar is None:
        return f"no smaller than {winner.name} {sizes}"
    mine, best = judged.speed, bar.speed
    if mine is None or best is None:
        return f"its latency was not measured, and that of {bar.name} was"
    if not _is_as_fast(judged, bar):
        return f"slower than {bar.name}: p50 {mine.value:.3g} against {best.value:.3g} ms"
    if loss := _loss(judged, winner):
        return f"as fast as {winner.name}, and less accurate by {loss:.2g}"
    if judged.size_bytes > _SAME_SIZE * winner.size_bytes:
        return f"as fast as {winner.name}, and larger {sizes}"
    return f"as fast as {winner.name}, and not clearly smaller, simpler or more accurate"


def _gain(one: JudgedTrial, selected: JudgedTrial) -> float:
    """Return how many times as fast a trial is as the selected one; where nothing was timed, as small."""
    if selected.speed is None:
        return selected.size_bytes / one.size_bytes if one.runtime == selected.runtime else 0.0
    return selected.speed.value / one.speed.value if one.speed is not None else 0.0


def _is_probable(one: JudgedTrial) -> bool:
    """Tell whether a trial breaks no budget, and all that it does not pass are probably met, though not surely."""
    doubtful = _open(one)
    return one.outcome == "inconclusive" and all(_probability(verdict) >= _PROBABLY for verdict in doubtful)


def _open(one: JudgedTrial) -> list[Verdict]:
    return [verdict for verdict in one.verdicts if verdict.outcome == "inconclusive"]


def _probability(verdict: Verdict) -> float:
    return verdict.probability if verdict.probability is not None else 0.0
