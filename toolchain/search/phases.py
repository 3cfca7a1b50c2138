"""Phases of a search in their order: the one table that the search follows and the progress bar is drawn from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from hwbench.measurements.interleaved import BLOCKS
from toolchain.search.screening import FINALISTS
from toolchain.search.time_limit import SEARCHING

_VARIANTS = 8  # steps for a finalist's other settings: two variants are made and measured beside it
_RETURNED = 5  # steps for the candidate whose slow layers are float again


@dataclass(frozen=True)
class Phase:
    """One phase.

    Attributes:
        step: name of the search's method.
        steps: estimates the progress steps from the number of candidates and of finalists.
        until: share of the time limit after which the phase is left out; None if it never is.
    """

    step: str
    steps: Callable[[int, int], int]
    until: float | None = SEARCHING

    @property
    def name(self) -> str:
        """Name for people: a verb and its object."""
        return self.step.replace("_", " ")


def _screened(candidates: int, finalists: int) -> int:
    """Count the measurements: all are measured and ranked, then half of them again, until few are left."""
    if candidates < 2:
        return candidates  # one alone is only ranked
    steps, left = 2 * candidates, candidates
    while left > FINALISTS + 1:
        left = max(FINALISTS, math.ceil((left - 1) / 2)) + 1
        steps += left if left > FINALISTS + 1 else 0
    return steps


_MAKE = Phase("make_candidates", lambda candidates, finalists: candidates, until=None)
_SCREEN = Phase("screen", _screened)
_TUNE = Phase("tune", lambda candidates, finalists: _VARIANTS * min(candidates, 2))
_RETURN_SLOW_LAYERS = Phase("return_slow_layers", lambda candidates, finalists: _RETURNED)
_RANK = Phase("rank", lambda candidates, finalists: candidates)
_ACCEPT = Phase("accept", lambda candidates, finalists: finalists, until=None)
_KEEP_SENSITIVE_LAYERS = Phase("keep_sensitive_layers", lambda candidates, finalists: 0)  # most models need none
_TIME = Phase("time", lambda candidates, finalists: finalists * BLOCKS, until=1.0)
_TIME_ALL = Phase("time_all", lambda candidates, finalists: finalists * BLOCKS, until=1.0)
_EXPLAIN = Phase("explain", lambda candidates, finalists: 0, until=1.0)


def phases(*, timed: bool, exhaustive: bool) -> tuple[Phase, ...]:
    """List the phases of a search in their order.

    Args:
        timed: whether this machine is the device; without, candidates are scored and none is timed.
        exhaustive: all candidates are measured well, and nothing is tried beyond them.
    """
    screened = timed and not exhaustive
    found = [_MAKE, *((_SCREEN, _TUNE, _RETURN_SLOW_LAYERS) if screened else (_RANK,)), _ACCEPT]
    found += [] if exhaustive else [_KEEP_SENSITIVE_LAYERS]
    found += [_TIME_ALL if exhaustive else _TIME, _EXPLAIN] if timed else []
    return tuple(found)
