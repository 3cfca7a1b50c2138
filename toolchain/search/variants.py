"""A candidate and its variants, measured side by side; the fastest of them goes on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from toolchain.search.screening import MARGIN
from toolchain.search.trials import Trial

_GAIN = 0.97  # of the parent's latency: a variant takes its place only below this share

Screen = Callable[[Trial], Trial]


def settled(parent: Trial, varied: Sequence[Trial], screen: Screen) -> list[Trial]:
    """Measure a parent and its running variants side by side, and let all but the fastest go.

    Args:
        parent: keeps the blocks that it has from before, too.
        varied: variants of it.
        screen: measures one more block of a trial.

    Returns:
        The parent and the running variants; nothing where no variant is running.
    """
    running = [rival for rival in varied if rival.is_running]
    if not running:
        return []
    measured, *others = measure(parent, running, screen)
    measured, *others = settle(measured, others)
    return [dataclasses.replace(measured, blocks=(*parent.blocks, *measured.blocks)), *others]


def measure(parent: Trial, rivals: Sequence[Trial], screen: Screen) -> list[Trial]:
    """Measure new blocks of a parent and its variants, in turns, so that interference hits all alike.

    A trial that is clearly slower after the first turn gets no second.

    Args:
        parent: the varied candidate; blocks that it has from before do not count.
        rivals: variants of it.
        screen: measures one more block of a trial.
    """
    field = [screen(dataclasses.replace(trial, blocks=())) for trial in (parent, *rivals)]
    best = min((trial.median_ms for trial in field if trial.median_ms is not None), default=math.inf)
    return [screen(a) if a.median_ms is not None and a.median_ms <= MARGIN * best else a for a in field]


def settle(parent: Trial, rivals: Sequence[Trial]) -> list[Trial]:
    """Let all but the fastest go, each with the reason; the parent stays unless a variant is clearly faster.

    Args:
        parent: measured side by side with the rivals.
        rivals: variants of it.

    Returns:
        The parent, then the rivals.
    """
    base = parent.median_ms
    running = [rival for rival in rivals if rival.is_running and rival.median_ms is not None]
    best = min(running, key=_median_ms, default=None)
    if base is None or best is None:
        return [parent, *rivals]
    wins = _median_ms(best) < _GAIN * base
    winner, figure = (best, _median_ms(best)) if wins else (parent, base)
    if wins and not parent.is_source:  # the source stays, to compare with
        reason = f"{best.name} is faster (p50 {base:.3g} against {figure:.3g} ms)"
        parent = dataclasses.replace(parent, rejected=reason)
    return [parent, *(_judged(rival, winner, figure) if rival in running else rival for rival in rivals)]


def _judged(rival: Trial, winner: Trial, figure: float) -> Trial:
    if rival is winner:
        return rival
    how = "slower" if figure < _GAIN * _median_ms(rival) else "not clearly faster"
    reason = f"{how} than {winner.name} (p50 {_median_ms(rival):.3g} against {figure:.3g} ms)"
    return dataclasses.replace(rival, rejected=reason)


def _median_ms(trial: Trial) -> float:
    assert trial.median_ms is not None
    return trial.median_ms
