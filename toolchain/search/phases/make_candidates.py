"""Make the candidates that a search starts with."""

from __future__ import annotations

from collections.abc import Iterable

from toolchain.candidates.candidate import Candidate
from toolchain.search.state import SearchState
from toolchain.search.trials import Trial


def make_candidates(state: SearchState, plan: Iterable[Candidate]) -> None:
    """Make each candidate: the first whatever the clock says, the others while there is time."""
    clock = state.context.clock
    for number, candidate in enumerate(plan):
        if number and clock.is_over():
            state.put(Trial(candidate, f"not tried: {clock.stopped}"))
        else:
            state.make(candidate)
