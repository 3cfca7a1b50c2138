"""Pick the candidate to pack, and say of every other why not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hwbench.field import Entry
from hwbench.report import NotMeasuredError, Report

_SPEED = "p90"  # what MLPerf's single stream reports


def choose(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Give every measured entry its status and reason.

    Of those that meet every budget, the fastest is chosen; where others are as fast (their intervals overlap),
    the smallest of them. Where none meets them all but some cannot be told, the same choice among those. An
    entry that breaks a budget is never chosen.
    """
    measured = [entry for entry in entries if entry.report is not None]
    pool = [entry for entry in measured if entry.outcome == "pass"]
    pool = pool or [entry for entry in measured if entry.outcome == "inconclusive"]
    winner, fastest = (_best(pool), _fastest(pool)) if pool else (None, None)
    return tuple(_judged(entry, winner, fastest) if entry.report is not None else entry for entry in entries)


def _best(pool: Sequence[Entry]) -> Entry:
    fastest = _fastest(pool)
    return min(pool if fastest is None else [entry for entry in pool if _is_as_fast(entry, fastest)], key=_size)


def _fastest(pool: Sequence[Entry]) -> Entry | None:
    timed = [(speed, entry) for entry in pool if (speed := _speed(entry)) is not None]
    return min(timed, key=lambda pair: pair[0])[1] if timed else None


def _is_as_fast(entry: Entry, fastest: Entry) -> bool:
    mine, best = _speed(entry), _speed(fastest)
    return mine is not None and best is not None and mine[0] <= best[1]


def _judged(entry: Entry, winner: Entry | None, fastest: Entry | None) -> Entry:
    if entry is winner:
        return dataclasses.replace(entry, status="chosen", reason=_why_chosen(entry))
    broken = [verdict for verdict in entry.verdicts if verdict.outcome == "fail"]
    if broken:
        return dataclasses.replace(
            entry, status="dropped", reason="; ".join(f"{v.budget.text}: {v.reason}" for v in broken)
        )
    if entry.outcome == "inconclusive" and winner is not None and winner.outcome == "pass":
        unsure = [v for v in entry.verdicts if v.outcome == "inconclusive"]
        reason = "; ".join(f"{v.budget.text}: {v.reason}" for v in unsure)
        return dataclasses.replace(entry, status="dropped", reason=f"cannot be told: {reason}")
    assert winner is not None
    return dataclasses.replace(entry, status="kept", reason=_why_not(entry, winner, fastest))


def _why_chosen(entry: Entry) -> str:
    if entry.outcome == "inconclusive":
        return "the best of those that break no budget; see the verdicts for what could not be told"
    if _speed(entry) is None:
        return "the smallest that meets the budgets; latency was not measured here"
    return "the fastest that meets every budget, or the smallest of those as fast"


def _why_not(entry: Entry, winner: Entry, fastest: Entry | None) -> str:
    sizes = f"({_size(entry) / 1e6:.3g} against {_size(winner) / 1e6:.3g} MB)"
    if fastest is None:
        return f"no smaller than {winner.name} {sizes}"
    if _speed(entry) is None:
        return f"latency was not measured, and {winner.name}'s was"
    if not _is_as_fast(entry, fastest):
        return f"slower than {fastest.name}: {_SPEED} {_value(entry):.3g} against {_value(fastest):.3g} ms"
    return f"as fast as {winner.name}, and no smaller {sizes}"


def _speed(entry: Entry) -> tuple[float, float] | None:
    assert entry.report is not None
    try:
        estimate = entry.report.estimate(_SPEED)
    except NotMeasuredError:
        return None
    return estimate.low, estimate.high


def _value(entry: Entry) -> float:
    return _report(entry).estimate(_SPEED).value


def _size(entry: Entry) -> int:
    return _report(entry).artifact.size_bytes


def _report(entry: Entry) -> Report:
    assert entry.report is not None
    return entry.report
