"""Phase that scores the finalists on the evaluation samples, which the search has not used so far."""

from __future__ import annotations

from toolchain.search import successive_halving, trial_steps
from toolchain.search.state import SearchState
from toolchain.search.time_limit import TimeUp
from toolchain.search.trial_steps import Finish


def accept(state: SearchState) -> None:
    """Score the finalists; only the fastest, if screening did not come to its end.

    The source is scored first, since its score takes no run, and the others by speed. The time limit never prevents the
    first of these, so that a build always has a scored candidate.
    """
    clock = state.context.clock
    if clock.stopped and not state.is_screened:
        state.put_all(successive_halving.reject_for_time(state.running, clock.stopped, state.acceptance.broken_budgets))

    def store(finish: Finish) -> None:
        state.put(finish())
        if clock.is_spent:
            clock.check(1.0)

    state.put_all(trial_steps.score(trial, state.context, "evaluation")() for trial in state.running if trial.is_source)
    try:
        state.score_each([trial for trial in state.fastest if not trial.is_source], "evaluation", store)
    except TimeUp:
        late = [trial for trial in state.running if trial.accuracy is None]
        state.put_all(successive_halving.reject_unfinished(trial, str(clock.stopped)) for trial in late)
        _check_sizes(state)
        raise
    except KeyboardInterrupt:
        _check_sizes(state)
        raise
    _check_sizes(state)


def _check_sizes(state: SearchState) -> None:
    """Check what may be selected at other sizes, however little time there is: a bundle promises them."""
    for trial in state.fastest:
        if trial.accuracy is not None and state.acceptance.may_be_selected(trial):
            state.put(trial_steps.check_sizes(trial, state.profile, state.context))
