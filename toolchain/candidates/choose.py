"""Pick the candidate to pack, and say of every other why not.

Speed is the p50, in the search, in the choice and in the headline of a report: it is what short measurements can tell,
and what a noisy machine moves least. A tail is for a budget to limit.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Sequence

from hwbench.budgets.verdicts import Verdict
from hwbench.measurements.report import NotMeasuredError, Report
from hwbench.results.profile_results import CandidateResult
from hwbench.stats.intervals import Estimate

_SPEED = "p50"
_SLIGHT = 0.001  # of a score: below, a difference is no reason for one file or another, however sure it is
_SAME_SIZE = 1.05  # times as large is as large


def choose(entries: Sequence[CandidateResult], behind: Collection[str] = ()) -> tuple[CandidateResult, ...]:
    """Give every measured entry its status and reason; one that the search dropped keeps them.

    Of those that meet every budget the fastest is chosen. Of those as fast, the ones go that are less accurate for
    sure; then those whose file is larger by a few percent or more; then the simplest recipe is chosen. Where nothing
    was timed, it is the smallest on the runtime that the profile lists first. Where none meets the budgets but some
    cannot be told, the same choice among those. An entry that breaks a budget is never chosen.

    As fast is whose figure is no worse than the best upper end of any interval: the best that was shown, not the
    best that noise allows.

    Args:
        entries: the field.
        behind: names of those that were measured no further, since they are slower beyond doubt than one that met
            every budget. Where such a one is left, they are not chosen, whatever disturbed the others afterwards.
    """
    measured = [entry for entry in entries if entry.status == "measured" and entry.report is not None]
    able = [entry for entry in measured if entry.outcome == "pass"]
    able = able or [entry for entry in measured if entry.outcome == "inconclusive"]
    pool = [entry for entry in able if entry.name not in behind] or able
    bar = _bar(pool)
    if bar is None and pool:  # of what was not timed, that of the runtime the profile puts first
        pool = [entry for entry in pool if entry.runtime == pool[0].runtime]
    tied = [entry for entry in pool if _is_as_fast(entry, bar)]
    winner = _best(tied, timed=bar is not None) if tied else None
    why = _why_chosen(winner, tied, alone=len(able) == 1) if winner is not None else ""
    lost = () if winner is None or winner.name in behind else behind
    return tuple(_judged(entry, winner, why, bar, lost) if entry in measured else entry for entry in entries)


def _bar(pool: Sequence[CandidateResult]) -> CandidateResult | None:
    """The entry that was shown to be fastest; None where none was timed."""
    timed = [(speed.high, index) for index, entry in enumerate(pool) if (speed := _speed(entry)) is not None]
    return pool[min(timed)[1]] if timed else None


def _is_as_fast(entry: CandidateResult, bar: CandidateResult | None) -> bool:
    if bar is None:
        return True
    mine, best = _speed(entry), _speed(bar)
    return mine is not None and best is not None and mine.value <= best.high


def _best(tied: Sequence[CandidateResult], *, timed: bool) -> CandidateResult:
    """Of those as fast; where nothing was timed, size is what there is to tell of speed, and goes before accuracy."""
    return min(_small(_right(tied)), key=_complexity) if timed else min(tied, key=_size)


def _right(tied: Sequence[CandidateResult]) -> list[CandidateResult]:
    """Those that no other is more accurate than for sure."""
    return [entry for entry in tied if not any(_loss(entry, other) for other in tied)]


def _small(tied: Sequence[CandidateResult]) -> list[CandidateResult]:
    """Those whose file is about as small as the smallest."""
    smallest = min(map(_size, tied))
    return [entry for entry in tied if _size(entry) <= _SAME_SIZE * smallest]


def _loss(entry: CandidateResult, other: CandidateResult) -> float | None:
    """How much less accurate one is than another, if that is sure and worth a word."""
    mine, others = _report(entry).accuracy, _report(other).accuracy
    if mine is None or others is None or entry is other:
        return None
    try:
        drop = dataclasses.replace(mine, reference=others, is_source=False).drop()
    except ValueError:  # too few samples to be sure of anything
        return None
    return drop.value if drop is not None and drop.low > _SLIGHT * abs(others.value) else None


def _complexity(entry: CandidateResult) -> tuple[int, ...]:
    """Of recipes as simple, the smaller file, be it by a byte; of equals, the first that was tried."""
    return *_extras(entry), _size(entry)


def _extras(entry: CandidateResult) -> tuple[int, int, int]:
    """What more there is to a recipe than its precision, the weightiest first."""
    recipe, options = entry.recipe, entry.settings.options if entry.settings is not None else {}
    return len(recipe.get("keep", ())), len(options), len(recipe.get("corrections", ()))


def _judged(
    entry: CandidateResult,
    winner: CandidateResult | None,
    why: str,
    bar: CandidateResult | None,
    behind: Collection[str],
) -> CandidateResult:
    judged = _with_status(entry, winner, why, bar)
    if judged.status == "eligible" and entry.name in behind:  # which its own reason says
        return dataclasses.replace(entry, status="eligible")
    return dataclasses.replace(judged, reason="; ".join(filter(None, (judged.reason, entry.reason))))


def _with_status(
    entry: CandidateResult, winner: CandidateResult | None, why: str, bar: CandidateResult | None
) -> CandidateResult:
    if entry is winner:
        return dataclasses.replace(entry, status="selected", reason=why)
    broken = [verdict for verdict in entry.verdicts if verdict.outcome == "fail"]
    if broken:
        return dataclasses.replace(entry, status="rejected", reason=_evidence(broken))
    if entry.outcome == "inconclusive" and winner is not None and winner.outcome == "pass":
        unsure = [verdict for verdict in entry.verdicts if verdict.outcome == "inconclusive"]
        return dataclasses.replace(entry, status="rejected", reason=f"inconclusive: {_evidence(unsure)}")
    assert winner is not None
    return dataclasses.replace(entry, status="eligible", reason=_why_not(entry, winner, bar))


def _evidence(verdicts: Sequence[Verdict]) -> str:
    return "; ".join(f"{verdict.budget.text}: {verdict.reason}" for verdict in verdicts)


def _why_chosen(winner: CandidateResult, tied: Sequence[CandidateResult], *, alone: bool) -> str:
    """Which of the rules of `choose` it was."""
    if winner.outcome == "inconclusive":
        return "the best of those that break no budget; see the verdicts for what is inconclusive"
    if _speed(winner) is None:
        return "the smallest that meets the budgets; latency was not measured here"
    if alone:
        return "the only one that meets every budget"
    if len(tied) == 1:
        return "the fastest that meets every budget"
    right = _right(tied)
    small = _small(right)
    simple = [entry for entry in small if _extras(entry) == _extras(winner)]
    least = [entry for entry in simple if _size(entry) == _size(winner)]
    steps = zip(
        ("accuracy", "size", "simplicity", "a few bytes"),
        itertools.pairwise(map(len, (tied, right, small, simple, least))),
    )
    decided = " and ".join(name for name, (before, after) in steps if after < before)
    how = f"the best by {decided}" if decided else "the first"
    return f"{how} of the {len(tied)} fastest that meet every budget, whose speeds cannot be told apart"


def _why_not(entry: CandidateResult, winner: CandidateResult, bar: CandidateResult | None) -> str:
    sizes = f"({_size(entry) / 1e6:.3g} against {_size(winner) / 1e6:.3g} MB)"
    if bar is None and entry.runtime != winner.runtime:
        return f"latency was not measured here, and the profile puts {winner.runtime} first"
    if bar is None:
        return f"no smaller than {winner.name} {sizes}"
    mine, best = _speed(entry), _speed(bar)
    if mine is None or best is None:
        return f"latency was not measured, and {bar.name}'s was"
    if not _is_as_fast(entry, bar):
        return f"slower than {bar.name}: {_SPEED} {mine.value:.3g} against {best.value:.3g} ms"
    if loss := _loss(entry, winner):
        return f"as fast as {winner.name}, and less accurate by {loss:.2g}"
    if _size(entry) > _SAME_SIZE * _size(winner):
        return f"as fast as {winner.name}, and larger {sizes}"
    return f"as fast as {winner.name}, and no smaller, simpler or more accurate beyond doubt"


def _speed(entry: CandidateResult) -> Estimate | None:
    try:
        return _report(entry).estimate(_SPEED)
    except NotMeasuredError:
        return None


def _size(entry: CandidateResult) -> int:
    return _report(entry).artifact.size_bytes


def _report(entry: CandidateResult) -> Report:
    assert entry.report is not None
    return entry.report
