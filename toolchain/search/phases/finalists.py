"""Who of the finalists is measured on: no more blocks for those that are slower beyond doubt than one that will do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from toolchain.search.trials import Trial, medians_ms

_FAR = 1.5  # times the fastest that is right; short measurements are not wrong by as much
_LEAST = 3  # blocks of both before any is left behind
_CLEARLY = 1.05  # times the leader's slowest process


def within_reach(running: Sequence[Trial], best: Trial) -> list[Trial]:
    """Let go what screening found far slower than another that may be chosen; the source stays, to compare with."""
    bar = best.median_ms
    assert bar is not None

    def judged(trial: Trial) -> Trial:
        mine = trial.median_ms
        if trial.is_source or mine is None or mine <= _FAR * bar:
            return trial
        figures = f"p50 {mine:.3g} against {bar:.3g} ms"
        reason = f"{mine / bar:.2g}x slower than {best.name} in screening ({figures}), which is right, too"
        return dataclasses.replace(trial, rejected=reason)

    return [judged(trial) for trial in running]


def contenders(finalists: Sequence[Trial], is_met: Callable[[Trial], bool]) -> list[Trial]:
    """Those that may still turn out to be the fastest.

    One is left behind where its fastest process is slower than the slowest of a leader's, by a few percent more than
    nothing. Were two equally fast, three blocks each would fall so with a probability of 1 in 20 (one pair, looked at
    once; a field is several pairs, looked at up to four times), and by that much beyond far more seldom; six blocks,
    which all others get, are for what is closer.

    Args:
        finalists: those that have been measured in every round so far.
        is_met: whether a finalist meets all budgets, as far as can be told by now.
    """
    leaders = [trial for trial in finalists if _blocks(trial) >= _LEAST and is_met(trial)]
    bar = min((max(_medians_ms(leader)) for leader in leaders), default=None)
    if bar is None:
        return list(finalists)
    return [trial for trial in finalists if min(_medians_ms(trial)) <= _CLEARLY * bar]


def _blocks(trial: Trial) -> int:
    return len(trial.latency.blocks) if trial.latency is not None else 0


def _medians_ms(trial: Trial) -> list[float]:
    return medians_ms(trial.latency.blocks) if trial.latency is not None else []
