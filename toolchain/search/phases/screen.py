"""Phase that screens the candidates: it measures each briefly, ranks them, and measures the better ones again."""

from __future__ import annotations

from collections.abc import Sequence

from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.candidates.expected_gain import by_gain
from toolchain.search import trial_steps
from toolchain.search.phases.time_finalists import reject_far_slower
from toolchain.search.state import SearchState, speed
from toolchain.search.successive_halving import FINALISTS, MARGIN, dominates, halve, is_as_close
from toolchain.search.trial_steps import Finish
from toolchain.search.trials import Trial


def screen(state: SearchState) -> None:
    """Halve the candidates round by round. A single one is only ranked, since there is nothing to compare it with."""

    def sample(trial: Trial, plan: SamplingPlan) -> Trial:
        state.context.clock.check()
        return state.put(trial_steps.sample(trial, state.context, plan, final=False))

    def ranked(trials: list[Trial]) -> list[Trial]:
        state.put_all(trials)
        rank_fastest(state)
        return [state.trials[trial.name] for trial in trials]

    if len(state.running) > 1:
        trials, broken = _promising_first(state), state.acceptance.broken_budgets
        state.put_all(halve(trials, sample, ranked, state.full, store=state.put_all, broken=broken))
    else:
        rank(state)
    state.is_screened = True


def rank(state: SearchState) -> None:
    """Score every running trial on the ranking samples."""
    _rank(state, state.running)


def rank_fastest(state: SearchState) -> None:
    """Score trials on the ranking samples, the fastest first, until as many as may stay break no budget.

    A slower one could stay only by being closer to the source. The fastest that computes in float32 is the closest, so
    that it is ranked in any case. Of what is wrong at other sizes, none has others rejected. Drafts come last, since
    what is far slower than float32 need not be finished.
    """
    _reject_slow_drafts(state)
    while wanted := _next_to_rank(state):
        _rank(state, [trial for trial in wanted if not trial.is_draft] or wanted)
        _check_leaders(state)
        _reject_slow_drafts(state)


def _reject_slow_drafts(state: SearchState) -> None:
    """Reject drafts that are far slower than a float32 candidate which is as close to the source as can be."""
    drafts = [trial for trial in state.running if trial.is_draft]
    for trial in _exact(state) if drafts else []:
        late = [draft for draft in reject_far_slower(drafts, trial) if not draft.is_running]
        if late and state.put(trial_steps.check_sizes(trial, state.profile, state.context)).is_running:
            state.put_all(late)
            return


def _exact(state: SearchState) -> list[Trial]:
    """List the float32 trials that break no budget and are as close as the source, the fastest first."""
    source = next((trial for trial in state.running if trial.is_source and trial.ranked is not None), None)
    able = [trial for trial in state.fastest if trial.ranked is not None and not state.acceptance.broken_budgets(trial)]
    floats = [trial for trial in able if trial.candidate.recipe.precision == "fp32" and trial.median_ms]
    return [trial for trial in floats if source is not None and is_as_close(trial, source)]


def _check_leaders(state: SearchState) -> None:
    """Check at other sizes what would have others rejected, the fastest first."""
    leaders: list[Trial] = []
    for trial in state.fastest:
        if trial.is_source or trial.ranked is None or state.acceptance.broken_budgets(trial):
            continue
        others = [one for one in state.running if not any(dominates(leader, one) for leader in leaders)]
        if trial in others and any(dominates(trial, other) for other in others):
            checked = state.put(trial_steps.check_sizes(trial, state.profile, state.context))
            leaders += [checked] if checked.is_running else []


def _next_to_rank(state: SearchState) -> list[Trial]:
    """Pick the trials to rank next; none if enough were ranked. The source is always among them: it costs no run."""
    source = [trial for trial in state.running if trial.is_source and trial.ranked is None]
    others = [trial for trial in state.fastest if not trial.is_source]
    able = [trial for trial in others if trial.ranked is not None and not state.acceptance.broken_budgets(trial)]
    left = [trial for trial in others if trial.ranked is None]
    if len(able) < FINALISTS:
        wanted = left[: FINALISTS - len(able)]
    else:
        wanted = [trial for trial in left if speed(trial) <= MARGIN * speed(able[FINALISTS - 1])]
    closest = next((trial for trial in others if trial.candidate.recipe.precision == "fp32"), None)
    also = [closest] if closest in left and closest not in wanted else []
    return [*source, *wanted, *also]


def _rank(state: SearchState, trials: Sequence[Trial]) -> None:
    def store(finish: Finish) -> None:
        state.put(finish())
        state.context.clock.check()

    state.score_each(trials, "ranking", store)


def _promising_first(state: SearchState) -> list[Trial]:
    """Order the trials as they are to be measured, since the time may be over before all were."""
    listed = {trial.candidate: trial for trial in state.trials.values()}
    return [listed[candidate] for candidate in by_gain(listed, state.context.is_source)]
