"""Phase that scores the finalists on the evaluation samples, which the search has not used so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from toolchain.search import successive_halving, trial_steps
from toolchain.search.phases.time_finalists import is_far_slower, reject_far_slower
from toolchain.search.state import SearchState
from toolchain.search.time_limit import ACCEPTING, TimeUp
from toolchain.search.trial_steps import Finish
from toolchain.search.trials import Trial


def accept(state: SearchState) -> None:
    """Score the finalists that may still win; only the fastest, if screening did not come to its end.

    The source is scored first, since its score takes no run, and the others by speed, as long as the time allows. What
    is far slower than one that may be selected is not scored, and waits for the score of a far faster one. Where the
    source is no candidate, the time limit never prevents the first of the others, so that a build always has a scored
    candidate.
    """
    clock = state.context.clock
    if clock.stopped:
        state.put_all(_in_time(state, clock.stopped))
    state.put_all(trial_steps.score(trial, state.context, "evaluation")() for trial in state.running if trial.is_source)
    others = [trial for trial in state.fastest if not trial.is_source]
    if others and len(others) == len(state.running):
        _score(state, others[:1])
    try:
        with clock.ends(1.0):
            while others:
                several = [one for one in others[: state.lanes] if not is_far_slower(one, others[0])]
                others = others[len(several) :]
                _score(state, several, until=ACCEPTING)
                others = _not_far_slower(state, others)
    except TimeUp:
        state.put_all(_unfinished(state, str(clock.stopped)))
        raise
    except KeyboardInterrupt:
        for trial in state.running:
            _check_sizes(state, trial)
        raise


def _in_time(state: SearchState, why: str) -> list[Trial]:
    """Reject what the search did not come to: all but the fastest, or what tuning made and did not measure."""
    broken = state.acceptance.broken_budgets
    if not state.is_screened:
        return successive_halving.reject_for_time(state.running, why, broken, timed=state.timed)
    return successive_halving.reject_unmeasured(state.running, why)


def _not_far_slower(state: SearchState, trials: Sequence[Trial]) -> list[Trial]:
    """Reject what is far slower than a trial that may be selected, and return the others."""
    scored = (trial for trial in state.fastest if trial.median_ms and trial.accuracy is not None)
    best = next((trial for trial in scored if state.acceptance.may_be_selected(trial)), None)
    if best is not None:
        state.put_all(reject_far_slower(state.running, best))
    return [trial for trial in trials if state.trials[trial.name].is_running]


def _score(state: SearchState, trials: Sequence[Trial], until: float | None = None) -> None:
    """Score trials, the fastest first, and check at other sizes what may be selected.

    No more of them are scored after a share of the time limit; but the fastest is, though a slower one beside it may
    end before it.
    """

    def store(finish: Finish) -> None:
        _check_sizes(state, state.put(finish()))
        is_next = state.trials[trials[0].name].accuracy is None
        if until is not None and not is_next:
            state.context.clock.check_limit(until)

    state.score_each(trials, "evaluation", store)


def _check_sizes(state: SearchState, trial: Trial) -> None:
    """Check what may be selected at other sizes, since a bundle promises them."""
    if trial.accuracy is not None and state.acceptance.may_be_selected(trial):
        state.put(trial_steps.check_sizes(trial, state.profile, state.context))


def _unfinished(state: SearchState, why: str) -> list[Trial]:
    """Reject the trials that were not scored in time, or not checked at other sizes."""
    late = [trial for trial in state.running if trial.accuracy is None]
    unchecked = [
        dataclasses.replace(trial, rejected=f"scored, not checked at other sizes: {why}")
        for trial in state.running
        if trial.accuracy is not None and trial_steps.has_unchecked_sizes(trial, state.context)
    ]
    return [*(successive_halving.reject_unfinished(trial, why) for trial in late), *unchecked]
