"""Who of the finalists is measured on: no more blocks for those that are slower beyond doubt than one that will do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from toolchain.search.attempts import Attempt, medians_ms

_FAR = 1.5  # times the fastest that is right; short measurements are not wrong by as much
_LEAST = 3  # blocks of both before any is left behind
_CLEARLY = 1.05  # times the leader's slowest process


def within_reach(running: Sequence[Attempt], best: Attempt) -> list[Attempt]:
    """Let go what screening found far slower than another that may be chosen; the source stays, to compare with."""
    bar = best.median_ms
    assert bar is not None

    def judged(attempt: Attempt) -> Attempt:
        mine = attempt.median_ms
        if attempt.is_source or mine is None or mine <= _FAR * bar:
            return attempt
        figures = f"p50 {mine:.3g} against {bar:.3g} ms"
        reason = f"{mine / bar:.2g}x slower than {best.name} in screening ({figures}), which is right, too"
        return dataclasses.replace(attempt, dropped=reason)

    return [judged(attempt) for attempt in running]


def contenders(finalists: Sequence[Attempt], is_met: Callable[[Attempt], bool]) -> list[Attempt]:
    """Those that may still turn out to be the fastest.

    One is left behind where its fastest process is slower than the slowest of a leader's, by a few percent more than
    nothing. Were two equally fast, three blocks each would fall so with a probability of 1 in 20 (one pair, looked at
    once; a field is several pairs, looked at up to four times), and by that much beyond far more seldom; six blocks,
    which all others get, are for what is closer.

    Args:
        finalists: those that have been measured in every round so far.
        is_met: whether a finalist meets all budgets, as far as can be told by now.
    """
    leaders = [attempt for attempt in finalists if _blocks(attempt) >= _LEAST and is_met(attempt)]
    bar = min((max(_medians_ms(leader)) for leader in leaders), default=None)
    if bar is None:
        return list(finalists)
    return [attempt for attempt in finalists if min(_medians_ms(attempt)) <= _CLEARLY * bar]


def _blocks(attempt: Attempt) -> int:
    return len(attempt.latency.blocks) if attempt.latency is not None else 0


def _medians_ms(attempt: Attempt) -> list[float]:
    return medians_ms(attempt.latency.blocks) if attempt.latency is not None else []
