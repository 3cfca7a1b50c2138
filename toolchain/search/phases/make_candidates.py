"""Phase that makes the candidates that a search starts with, the most promising first."""

from __future__ import annotations

from toolchain.candidates.expected_gain import by_gain_per_cost
from toolchain.search.phases.store_weights import held_back, not_tried
from toolchain.search.state import SearchState
from toolchain.search.time_limit import MAKING, TimeUp
from toolchain.search.trials import Trial


def make_candidates(state: SearchState) -> None:
    """Make the first candidate in any case, and the others while there is time.

    Where they are timed, int8 is made as a draft, since its ranges and weights need not be fitted if it is too slow.
    The trials are in the order of `state.candidates` afterwards. Candidates whose file is larger than a budget allows
    are rejected at once, unless all are to be measured.
    """
    clock, as_draft = state.context.clock, state.timed and not state.exhaustive
    first, *others = by_gain_per_cost(state.candidates, state.context.is_source)
    held = held_back(state, state.make(first))
    state.put_all(not_tried(candidate) for candidate in held if candidate != first)
    others = [candidate for candidate in others if candidate not in held]
    try:
        with clock.ends(MAKING):
            for candidate in others:
                state.make(candidate, as_draft=as_draft)
    except TimeUp:
        made = {trial.candidate for trial in state.trials.values()}
        for candidate in others:
            if candidate not in made:
                state.put(Trial(candidate, candidate.refusal or f"not tried: {clock.stopped}"))
    state.order_trials()
    if not state.exhaustive:
        state.reject_too_large()
