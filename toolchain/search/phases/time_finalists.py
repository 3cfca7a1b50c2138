"""Time the finalists, interleaved: rounds of one block each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from hwbench.measurements.interleaved import BLOCKS
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.search import steps
from toolchain.search.phases import finalists
from toolchain.search.state import SearchState
from toolchain.search.trials import Trial

_ENOUGH_RUNS = 80  # per block; six blocks have more than the 459 that MLPerf's early stopping takes for a p99
_STARTUP_S = 1.0  # of a process, a runtime and a model, roughly


def time_finalists(state: SearchState) -> None:
    """Measure the trials that may be selected, as well as telling their order takes, or as the time allows."""
    right = (trial for trial in state.fastest if trial.median_ms and state.acceptance.is_right(trial))
    best = next(right, None)
    if best is not None:
        state.put_all(finalists.within_reach(state.running, best))
    plan = dataclasses.replace(state.full, min_runs=min(_ENOUGH_RUNS, state.full.min_runs))
    _time(state, plan, lambda trials: finalists.contenders(trials, state.acceptance.is_met))


def time_all(state: SearchState) -> None:
    """Measure all trials that break no accuracy budget to the end of the full plan."""
    _time(state, state.full, lambda trials: trials)


def _time(state: SearchState, plan: SamplingPlan, contenders: Callable[[list[Trial]], list[Trial]]) -> None:
    """Measure a block of each trial per round; `contenders` picks those that stay after a round."""
    clock = state.context.clock
    wanted = [trial.name for trial in state.running if trial.accuracy and not state.acceptance.breaks(trial)]
    clock.check(1.0)
    plan = clock.fitted(plan, blocks=len(wanted) * BLOCKS, startup_s=_STARTUP_S)
    for block in range(BLOCKS):
        for name in wanted:
            state.put(steps.sample(state.trials[name], state.context, plan, final=True))
        running = [state.trials[name] for name in wanted if state.trials[name].is_running]
        wanted = [trial.name for trial in contenders(running)]
        why = f"timed in {block + 1} of {BLOCKS} processes: clearly slower than a candidate that meets every budget"
        state.put_all(dataclasses.replace(one, behind=why) for one in running if one.name not in wanted)
