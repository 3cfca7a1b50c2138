"""Keep sensitive layers in float32, where a low precision misses its accuracy budget."""

from __future__ import annotations

from collections.abc import Sequence

from toolchain.candidates.candidate import Candidate, typed
from toolchain.search import steps, variants
from toolchain.search.phases import mixed_precision
from toolchain.search.state import SearchState
from toolchain.search.trials import Trial

_LOW = ("int8", "bf16", "fp16")  # precisions in which layers are kept in float32


def keep_sensitive_layers(state: SearchState) -> None:
    """Where the fastest of a low precision misses its accuracy budget, keep the fewest layers that mend it."""
    for precision in _LOW:
        lowest = next((trial for trial in state.fastest if trial.computes_in(precision)), None)
        if lowest is not None and not state.acceptance.meets(lowest):
            _mend(state, lowest)


def _mend(state: SearchState, trial: Trial) -> None:
    """Keep layers of a trial in float32, unless a trial that meets all budgets is already as fast.

    Keeping layers in float only slows a candidate down, so that no mended one could be faster than that.
    """
    right = [other for other in state.fastest if state.acceptance.is_right(other)]
    candidate = typed(trial.candidate)
    if candidate is None or _is_slower(trial, right):
        return

    def attempt(candidate: Candidate) -> Trial:
        state.context.clock.check()
        samples: steps.Samples = "ranking" if state.acceptance.ranks_by_same_metric else "evaluation"
        return state.put(steps.score(state.make(candidate), state.context, samples)())

    ranking = state.context.builder.sensitivity(candidate.recipe)
    for found in mixed_precision.recover(candidate, ranking, attempt, state.acceptance.meets):
        state.put(found)
        if found.is_running:
            _measure(state, trial, found)


def _measure(state: SearchState, parent: Trial, found: Trial) -> None:
    """Score a mended trial on the evaluation samples, and measure it beside its parent."""
    state.put(steps.score(found, state.context, "evaluation")())
    state.drop_too_large()
    rival = state.trials[found.name]
    if state.timed and rival.is_running:
        state.put_all(variants.measure(parent, [rival], state.sample_long)[1:])


def _is_slower(low: Trial, right: Sequence[Trial]) -> bool:
    mine, best = low.speed_ms, min((trial.speed_ms for trial in right if trial.speed_ms), default=None)
    return mine is not None and best is not None and mine >= best
