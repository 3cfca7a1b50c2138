"""Return to float32 the layers that int8 made slower."""

from __future__ import annotations

import dataclasses

from toolchain.candidates.candidate import Candidate
from toolchain.search import slow_layers, steps, variants
from toolchain.search.state import SearchState
from toolchain.search.trials import Trial


def return_slow_layers(state: SearchState) -> None:
    """Try one candidate that keeps in float32 the layers that are slower in the fastest int8 candidate."""
    right = (trial for trial in state.fastest if not state.acceptance.is_wrong(trial))
    int8 = next((trial for trial in right if trial.computes_in("int8")), None)
    if int8 is None:
        return
    layers = state.context.builder.layers()
    slow = slow_layers.slow_layers(int8, state.trials.values(), state.context.timed, layers)
    if slow:
        recipe = dataclasses.replace(int8.candidate.recipe, keep=slow)
        rival = _try(state, dataclasses.replace(int8.candidate, recipe=recipe))
        state.put_all(variants.settled(int8, [rival], state.sample_long))


def _try(state: SearchState, candidate: Candidate) -> Trial:
    state.context.clock.check()
    tried = next((trial for trial in state.trials.values() if trial.candidate == candidate), None)
    if tried is not None:
        return dataclasses.replace(tried, rejected="tried already")
    made = state.put(steps.score(state.make(candidate), state.context, "ranking")())
    state.drop_too_large()
    return state.trials[made.name]
