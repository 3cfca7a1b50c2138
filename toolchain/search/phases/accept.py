"""Accept the finalists: score them, and them alone, on the evaluation samples."""

from __future__ import annotations

from toolchain.search import screening, steps
from toolchain.search.state import SearchState
from toolchain.search.steps import Finish
from toolchain.search.time_limit import TimeUp


def accept(state: SearchState) -> None:
    """Score the finalists; of a field that was not screened to its end, the fastest.

    The source goes first, since it takes no run, then the fastest. One of them is scored whatever the clock says.
    """
    clock = state.context.clock
    if clock.stopped and not state.is_screened:
        state.put_all(screening.cut_short(state.running, clock.stopped, state.acceptance.is_out))

    def keep(finish: Finish) -> None:
        state.put(finish())
        if clock.is_spent:
            clock.check(1.0)

    state.put_all(steps.score(trial, state.context, "evaluation")() for trial in state.running if trial.is_source)
    try:
        state.score_each([trial for trial in state.fastest if not trial.is_source], "evaluation", keep)
    except TimeUp:
        late = [trial for trial in state.running if trial.accuracy is None]
        state.put_all(screening.unfinished(one, str(clock.stopped)) for one in late)
        raise
