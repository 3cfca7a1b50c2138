"""Phase that times the finalists, interleaved: rounds of one block each, until the fastest is clear."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from hwbench.measurements.interleaved import BLOCKS
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.search import trial_steps
from toolchain.search.acceptance import Acceptance
from toolchain.search.state import SearchState
from toolchain.search.trials import Trial, medians_ms

_ENOUGH_RUNS = 80  # per block; six blocks have more than the 459 that MLPerf's early stopping takes for a p99
_STARTUP_S = 1.0  # of a process, a runtime and a model, roughly
_MAX_SLOWDOWN = 1.5  # times the fastest that may be selected; short measurements err by less
_MIN_BLOCKS, _MIN_ROUNDS = 3, 2  # blocks of both trials, screening's among them, before one is left behind
_CLEARLY = 1.05  # times the leader's slowest block


def time_finalists(state: SearchState) -> None:
    """Measure the trials that may be selected until their order is clear, or as long as the time allows."""
    able = (trial for trial in state.fastest if trial.median_ms and state.acceptance.may_be_selected(trial))
    best = next(able, None)
    if best is not None:
        state.put_all(reject_far_slower(state.running, best))
    plan = dataclasses.replace(state.full, min_runs=min(_ENOUGH_RUNS, state.full.min_runs))
    acceptance = state.acceptance
    _time(state, plan, lambda trials: contenders(trials, acceptance.meets_all, acceptance.may_be_selected))


def time_all(state: SearchState) -> None:
    """Measure all trials that break no accuracy budget to the end of the full plan."""
    _time(state, state.full, lambda trials: trials)


def reject_far_slower(running: Sequence[Trial], best: Trial) -> list[Trial]:
    """Reject trials that were far slower in screening than one that may be selected; the source always stays."""
    bar = best.median_ms
    assert bar is not None

    def judged(trial: Trial) -> Trial:
        mine = trial.median_ms
        if trial.is_source or mine is None or not is_far_slower(trial, best):
            return trial
        figures = f"p50 {mine:.3g} against {bar:.3g} ms"
        reason = f"{mine / bar:.2g}x slower in screening than {best.name} ({figures}), which breaks no budget"
        return dataclasses.replace(trial, rejected=reason)

    return [judged(trial) for trial in running]


def is_far_slower(trial: Trial, other: Trial) -> bool:
    """Tell whether a trial was far slower in screening than another; False if one of them was not timed."""
    mine, others = trial.median_ms, other.median_ms
    return mine is not None and others is not None and mine > _MAX_SLOWDOWN * others


def contenders(
    finalists: Sequence[Trial],
    meets_all: Callable[[Trial], bool],
    may_be_selected: Callable[[Trial], bool] = lambda _: True,
) -> list[Trial]:
    """Pick the finalists that may still turn out to be the fastest of those that may be selected.

    A finalist is left behind if its fastest block is slower than a leader's slowest, by more than a few percent. Blocks
    of screening count, since they are processes of the same file. If two were equally fast, three blocks each would
    fall like this with a probability of 1 in 20 (for one pair, looked at once; a search has several pairs, looked at up
    to five times), and by a few percent more far more rarely. All other finalists get six rounds, which tell closer
    ones apart.

    Args:
        finalists: trials that were measured in every round so far.
        meets_all: tells whether a finalist meets all budgets, as far as its measurements and the samples tell.
        may_be_selected: tells whether a finalist meets its accuracy budgets, as far as the samples tell. One that does
            not is never selected once another meets all budgets, however fast it is.
    """
    first = leader(finalists, meets_all)
    if first is None:
        return list(finalists)
    bar = max(_medians_ms(first))
    return [
        trial
        for trial in finalists
        if not _is_measured(trial) or (may_be_selected(trial) and min(_medians_ms(trial)) <= _CLEARLY * bar)
    ]


def leader(finalists: Sequence[Trial], meets_all: Callable[[Trial], bool]) -> Trial | None:
    """Find the trial that others are compared with: of those that meet all budgets, the one whose slowest block is the
    fastest; None before one was measured enough.
    """
    able = [trial for trial in finalists if _is_measured(trial) and meets_all(trial)]
    return min(able, key=lambda trial: max(_medians_ms(trial)), default=None)


def _time(state: SearchState, plan: SamplingPlan, select: Callable[[list[Trial]], list[Trial]]) -> None:
    """Measure a block of each trial per round; `select` picks the trials for the next round."""
    clock = state.context.clock
    wanted = [trial.name for trial in state.running if trial.accuracy and not state.acceptance.breaks_accuracy(trial)]
    clock.check(1.0)
    plan = clock.fitted(plan, blocks=len(wanted) * BLOCKS, startup_s=_STARTUP_S)
    for block in range(BLOCKS):
        for name in wanted:
            state.put(trial_steps.sample(state.trials[name], state.context, plan, final=True))
        running = [state.trials[name] for name in wanted if state.trials[name].is_running]
        wanted = [trial.name for trial in select(running)]
        late = [trial for trial in running if trial.name not in wanted]
        first = leader(running, state.acceptance.meets_all)
        if first is not None:
            state.put_all(_behind(state.acceptance, trial, first, block + 1) for trial in late)


def _behind(acceptance: Acceptance, trial: Trial, first: Trial, rounds: int) -> Trial:
    """Leave a trial behind the leader, with the reason, which says no more of the leader than the samples do."""
    is_shown, may_win = acceptance.passes_all(first), acceptance.may_be_selected(trial)
    met = "meets every budget" if is_shown else "meets every budget as far as so few samples tell"
    why = f"clearly slower than {first.name}, which {met}"
    if not may_win:
        why = f"{first.name} {met}, and this one was not shown to"
    return dataclasses.replace(trial, behind=f"timed in {rounds} of {BLOCKS} processes: {why}")


def _is_measured(trial: Trial) -> bool:
    """Tell whether a trial has enough blocks to be compared, and enough rounds for a report to show their range."""
    rounds = len(trial.latency.blocks) if trial.latency is not None else 0
    return rounds >= _MIN_ROUNDS and len(_medians_ms(trial)) >= _MIN_BLOCKS


def _medians_ms(trial: Trial) -> list[float]:
    timed = trial.latency.blocks if trial.latency is not None else ()
    return medians_ms((*trial.blocks, *timed))
