"""Screen the field: measure every candidate a little, rank those that may stay, and the better ones a little more."""

from __future__ import annotations

from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.search import screening, steps
from toolchain.search.state import SearchState
from toolchain.search.steps import Finish
from toolchain.search.trials import Trial


def screen(state: SearchState) -> None:
    """Halve the field round by round. A single candidate is ranked alone: there is nothing to compare it with."""

    def one(trial: Trial, plan: SamplingPlan) -> Trial:
        state.context.clock.check()
        return state.put(steps.sample(trial, state.context, plan, final=False))

    def ranked(field: list[Trial]) -> list[Trial]:
        state.put_all(field)
        rank(state)
        return [state.trials[trial.name] for trial in field]

    if len(state.running) > 1:
        trials, breaks = list(state.trials.values()), state.acceptance.is_out
        state.put_all(screening.halve(trials, one, ranked, state.full, keep=state.put_all, breaks=breaks))
    else:
        rank(state)
    state.is_screened = True


def rank(state: SearchState) -> None:
    """Score every running trial on the ranking samples."""

    def keep(finish: Finish) -> None:
        state.put(finish())
        state.context.clock.check()

    state.score_each(state.running, "ranking", keep)
