"""Phase that screens the candidates: it measures each briefly, ranks them, and measures the better ones again."""

from __future__ import annotations

from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.search import trial_steps
from toolchain.search.state import SearchState
from toolchain.search.successive_halving import halve
from toolchain.search.trial_steps import Finish
from toolchain.search.trials import Trial


def screen(state: SearchState) -> None:
    """Halve the candidates round by round. A single one is only ranked, since there is nothing to compare it with."""

    def sample(trial: Trial, plan: SamplingPlan) -> Trial:
        state.context.clock.check()
        return state.put(trial_steps.sample(trial, state.context, plan, final=False))

    def ranked(trials: list[Trial]) -> list[Trial]:
        state.put_all(trials)
        rank(state)
        return [state.trials[trial.name] for trial in trials]

    if len(state.running) > 1:
        trials, broken = list(state.trials.values()), state.acceptance.broken_budgets
        state.put_all(halve(trials, sample, ranked, state.full, store=state.put_all, broken=broken))
    else:
        rank(state)
    state.is_screened = True


def rank(state: SearchState) -> None:
    """Score every running trial on the ranking samples."""

    def store(finish: Finish) -> None:
        state.put(finish())
        state.context.clock.check()

    state.score_each(state.running, "ranking", store)
