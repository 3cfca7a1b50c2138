"""Schedule of a search: its phases in order, which the search follows and the progress line counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from hwbench.measurements.interleaved import BLOCKS
from toolchain.search.phases.accept import accept
from toolchain.search.phases.explain import explain
from toolchain.search.phases.make_candidates import make_candidates
from toolchain.search.phases.mixed_precision import keep_sensitive_layers
from toolchain.search.phases.return_slow_layers import return_slow_layers
from toolchain.search.phases.screen import rank, screen
from toolchain.search.phases.store_weights import store_weights
from toolchain.search.phases.time_finalists import time_all, time_finalists
from toolchain.search.phases.tune import tune
from toolchain.search.state import SearchState
from toolchain.search.successive_halving import FINALISTS
from toolchain.search.time_limit import SEARCHING

_VARIANTS = 8  # progress steps for a candidate's other settings: two variants are made and measured side by side
_RETURNED = 5  # progress steps for the candidate whose slow layers are float32 again


@dataclass(frozen=True)
class Phase:
    """A phase, as the search runs it and the progress line counts it.

    Attributes:
        run: changes the search's state.
        steps: estimates the progress steps from the number of candidates and of finalists.
        until: share of the time limit after which the phase does not begin; None if it always does.
    """

    run: Callable[[SearchState], None]
    steps: Callable[[int, int], int]
    until: float | None = SEARCHING

    @property
    def name(self) -> str:
        """Name for people: a verb and its object."""
        return self.run.__name__.replace("_", " ")


def schedule(*, timed: bool, exhaustive: bool) -> tuple[Phase, ...]:
    """List the phases of a search in their order.

    Args:
        timed: this machine is the device; if not, candidates are scored and none is timed.
        exhaustive: all candidates of the start are measured well, and no others are tried.
    """
    screened = timed and not exhaustive
    phases = [_MAKE, *((_SCREEN, _TUNE, _RETURN_SLOW_LAYERS) if screened else (_RANK,)), _ACCEPT]
    phases += [] if exhaustive else [_KEEP_SENSITIVE_LAYERS]
    phases += [_STORE_WEIGHTS] if screened else []
    phases += [_TIME_ALL if exhaustive else _TIME_FINALISTS, _EXPLAIN] if timed else []
    return tuple(phases)


def _screened(candidates: int, finalists: int) -> int:
    """Count the steps of screening: all are measured and ranked, then half of them again, until few are left."""
    if candidates < 2:
        return candidates  # a single candidate is only ranked
    steps, left = 2 * candidates, candidates
    while left > FINALISTS + 1:
        left = max(FINALISTS, math.ceil((left - 1) / 2)) + 1
        steps += left if left > FINALISTS + 1 else 0
    return steps


_MAKE = Phase(make_candidates, lambda candidates, finalists: candidates, until=None)
_SCREEN = Phase(screen, _screened)
_TUNE = Phase(tune, lambda candidates, finalists: _VARIANTS * min(candidates, 2))
_RETURN_SLOW_LAYERS = Phase(return_slow_layers, lambda candidates, finalists: _RETURNED)
_RANK = Phase(rank, lambda candidates, finalists: candidates)
_ACCEPT = Phase(accept, lambda candidates, finalists: 2 * finalists, until=None)
_KEEP_SENSITIVE_LAYERS = Phase(keep_sensitive_layers, lambda candidates, finalists: 0)  # most models need none
_STORE_WEIGHTS = Phase(store_weights, lambda candidates, finalists: 0)  # most models have a faster candidate
_TIME_FINALISTS = Phase(time_finalists, lambda candidates, finalists: finalists * BLOCKS, until=1.0)
_TIME_ALL = Phase(time_all, lambda candidates, finalists: finalists * BLOCKS, until=1.0)
_EXPLAIN = Phase(explain, lambda candidates, finalists: 0, until=1.0)
