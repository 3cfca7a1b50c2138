"""Comparison of a candidate with its variants, measured side by side; the fastest of them stays."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from toolchain.search.successive_halving import MARGIN
from toolchain.search.trials import Trial

_GAIN = 0.97  # of the parent's latency: a variant takes its place only below this share
_CLOSE = 0.025  # of the parent's latency: as near to that share, two blocks decide by chance
_MOST_TURNS = 6

Sample = Callable[[Trial], Trial]


def compare(parent: Trial, varied: Sequence[Trial], sample: Sample) -> list[Trial]:
    """Measure a parent and its running variants side by side, and reject all but the fastest.

    Args:
        parent: the candidate that was varied; earlier blocks stay part of the result.
        varied: its variants.
        sample: measures one more block of a trial.

    Returns:
        The parent and the running variants; nothing if no variant is running.
    """
    running = [variant for variant in varied if variant.is_running]
    if not running:
        return []
    measured, *others = measure(parent, running, sample)
    measured, *others = reject_slower(measured, others)
    return [dataclasses.replace(measured, blocks=(*parent.blocks, *measured.blocks)), *others]


def measure(parent: Trial, varied: Sequence[Trial], sample: Sample) -> list[Trial]:
    """Measure new blocks of a parent and its variants, in turns, so that interference hits all alike.

    A trial that is clearly slower after the first turn gets no second. Where the fastest variant is about as much
    faster as it has to be, these two are measured in further turns, so that a second build decides alike.

    Args:
        parent: the candidate that was varied; earlier blocks do not count.
        varied: its variants.
        sample: measures one more block of a trial.
    """
    once = [sample(dataclasses.replace(trial, blocks=())) for trial in (parent, *varied)]
    best = min((trial.median_ms for trial in once if trial.median_ms is not None), default=math.inf)
    twice = [
        sample(trial) if trial.median_ms is not None and trial.median_ms <= MARGIN * best else trial for trial in once
    ]
    for _ in range(_MOST_TURNS - 2):
        close = _close(twice)
        if not close:
            break
        twice = [sample(trial) if trial in close else trial for trial in twice]
    return twice


def _close(measured: Sequence[Trial]) -> list[Trial]:
    """Find the parent and its fastest variant, if they are too close to tell whether it takes the parent's place."""
    parent, *others = measured
    timed = [trial for trial in others if trial.is_running and trial.median_ms is not None]
    best = min(timed, key=_median_ms, default=None)
    if parent.median_ms is None or best is None or abs(_median_ms(best) / parent.median_ms - _GAIN) > _CLOSE:
        return []
    return [parent, best]


def reject_slower(parent: Trial, varied: Sequence[Trial]) -> list[Trial]:
    """Reject all but the fastest, each with the reason; the parent stays unless a variant is clearly faster.

    Args:
        parent: the candidate that was varied, measured side by side with its variants.
        varied: its variants.

    Returns:
        The parent, then the variants.
    """
    base = parent.median_ms
    running = [variant for variant in varied if variant.is_running and variant.median_ms is not None]
    best = min(running, key=_median_ms, default=None)
    if base is None or best is None:
        return [parent, *varied]
    wins = _median_ms(best) < _GAIN * base
    winner, figure = (best, _median_ms(best)) if wins else (parent, base)
    if wins and not parent.is_source:  # the source stays for comparison
        reason = f"{best.name} is faster (p50 {base:.3g} against {figure:.3g} ms)"
        parent = dataclasses.replace(parent, rejected=reason)
    return [parent, *(_judged(each, winner, figure) if each in running else each for each in varied)]


def _judged(variant: Trial, winner: Trial, winner_ms: float) -> Trial:
    """Reject a variant unless it is the winner."""
    if variant is winner:
        return variant
    how = "slower" if winner_ms < _GAIN * _median_ms(variant) else "not clearly faster"
    reason = f"{how} than {winner.name} (p50 {_median_ms(variant):.3g} against {winner_ms:.3g} ms)"
    return dataclasses.replace(variant, rejected=reason)


def _median_ms(trial: Trial) -> float:
    assert trial.median_ms is not None
    return trial.median_ms
