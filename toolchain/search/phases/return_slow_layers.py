"""Phase that returns to float32 the layers that int8 made slower."""

from __future__ import annotations

import dataclasses

from toolchain.candidates.candidate import Candidate
from toolchain.search import slow_layers, trial_steps, variants
from toolchain.search.state import SearchState
from toolchain.search.trials import Trial


def return_slow_layers(state: SearchState) -> None:
    """Try one more candidate, in which layers that int8 made slower stay in float32."""
    able = (trial for trial in state.fastest if not state.acceptance.broken_by_ranking(trial))
    int8 = next((trial for trial in able if trial.computes_in("int8")), None)
    if int8 is None or int8.is_draft:  # a draft was too slow to be ranked
        return
    layers = state.context.builder.layers()
    slow = slow_layers.slow_layers(int8, state.trials.values(), state.context.inferences, layers)
    if slow:
        recipe = dataclasses.replace(int8.candidate.recipe, keep=slow)
        variant = _try(state, dataclasses.replace(int8.candidate, recipe=recipe))
        state.put_all(variants.compare(int8, [variant], state.sample_long))


def _try(state: SearchState, candidate: Candidate) -> Trial:
    state.context.clock.check()
    tried = next((trial for trial in state.trials.values() if trial.candidate == candidate), None)
    if tried is not None:
        return dataclasses.replace(tried, rejected="tried already")
    made = state.put(trial_steps.score(state.make(candidate), state.context, "ranking")())
    state.reject_too_large()
    return state.trials[made.name]
