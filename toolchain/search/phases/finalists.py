"""Pick the finalists that are measured further: those that are clearly slower than a good one get no more blocks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from toolchain.search.trials import Trial, medians_ms

_FAR = 1.5  # times the fastest that meets the accuracy budget; short measurements err by less
_LEAST = 3  # blocks of both before one is left behind
_CLEARLY = 1.05  # times the leader's slowest block


def within_reach(running: Sequence[Trial], best: Trial) -> list[Trial]:
    """Let go trials that were far slower in screening than one that may be selected; the source always stays."""
    bar = best.median_ms
    assert bar is not None

    def judged(trial: Trial) -> Trial:
        mine = trial.median_ms
        if trial.is_source or mine is None or mine <= _FAR * bar:
            return trial
        figures = f"p50 {mine:.3g} against {bar:.3g} ms"
        reason = f"{mine / bar:.2g}x slower in screening than {best.name} ({figures}), which also meets the budgets"
        return dataclasses.replace(trial, rejected=reason)

    return [judged(trial) for trial in running]


def contenders(finalists: Sequence[Trial], is_met: Callable[[Trial], bool]) -> list[Trial]:
    """Pick those that may still turn out to be the fastest.

    A finalist is left behind if its fastest block is slower than a leader's slowest, by more than a few percent. If two
    were equally fast, three blocks each would fall like this with a probability of 1 in 20 (for one pair, looked at
    once; a field has several pairs, looked at up to four times), and by a few percent more far more rarely. All others
    get six blocks, which tell closer ones apart.

    Args:
        finalists: trials that were measured in every round so far.
        is_met: tells whether a finalist meets all budgets, by its measurements so far.
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
