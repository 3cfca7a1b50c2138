"""Phase that makes the candidates that a search starts with."""

from __future__ import annotations

from toolchain.search.state import SearchState
from toolchain.search.trials import Trial


def make_candidates(state: SearchState) -> None:
    """Make the first candidate in any case, and the others while there is time.

    Candidates whose file is larger than a budget allows are rejected at once, unless all are to be measured.
    """
    clock = state.context.clock
    for number, candidate in enumerate(state.candidates):
        if number and clock.is_over():
            state.put(Trial(candidate, f"not tried: {clock.stopped}"))
        else:
            state.make(candidate)
    if not state.exhaustive:
        state.reject_too_large()
