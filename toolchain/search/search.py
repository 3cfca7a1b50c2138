"""The search, phase by phase.

Candidates are ordered by the ranking samples, and accepted on the evaluation samples, on which only finalists are
scored. Nothing runs beside a measurement of time; other work runs in as many processes as there are cores for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hwbench.budgets.budget import Budget
from hwbench.progress import phase
from runtimes.errors import EdgewrightError
from runtimes.profile import HardwareProfile
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.candidates.candidate import Candidate
from toolchain.search.acceptance import Acceptance
from toolchain.search.phases.accept import accept
from toolchain.search.phases.explain import explain
from toolchain.search.phases.keep_sensitive_layers import keep_sensitive_layers
from toolchain.search.phases.make_candidates import make_candidates
from toolchain.search.phases.return_slow_layers import return_slow_layers
from toolchain.search.phases.screen import rank, screen
from toolchain.search.phases.time_finalists import time_all, time_finalists
from toolchain.search.phases.tune import tune
from toolchain.search.state import SearchState
from toolchain.search.time_limit import SEARCHING, TimeUp
from toolchain.search.trials import BuildContext, Trial


@dataclass(frozen=True)
class Found:
    """The result of a search.

    Attributes:
        trials: every candidate that was tried, in the order tried.
        defects: the phases that failed, and why, in sentences.
    """

    trials: list[Trial]
    defects: tuple[str, ...] = ()


def search(
    plan: Sequence[Candidate],
    profile: HardwareProfile,
    budgets: Sequence[Budget],
    context: BuildContext,
    full: SamplingPlan,
    *,
    timed: bool,
    exhaustive: bool = False,
) -> Found:
    """Find the candidates that are worth measuring well, and measure them.

    Args:
        plan: the candidates to start with.
        profile: the device.
        budgets: the limits that the selected candidate is to meet.
        context: the parts that candidates share; its clock says when to stop.
        full: the plan that finalists are measured by.
        timed: this machine is the device; if not, all are scored and none is timed.
        exhaustive: measure all candidates of the start well, and try nothing beyond them.

    Raises:
        KeyboardInterrupt: Ctrl-C before there was anything to keep.
        OSError: the disk is full.
    """
    state = SearchState(profile, context, full, timed, Acceptance(tuple(budgets), context))
    phase(f"{profile.name}: make candidates")
    make_candidates(state, plan)
    if not exhaustive:
        state.drop_too_large()
    if timed and not exhaustive:
        run_phase(state, "screen", screen)
        run_phase(state, "tune", tune)
        run_phase(state, "return slow layers", return_slow_layers)
    else:
        run_phase(state, "rank", rank)
    run_phase(state, "accept", accept, until=None)
    if not exhaustive:
        run_phase(state, "keep sensitive layers", keep_sensitive_layers)
    if timed and exhaustive:
        run_phase(state, "time all", time_all, until=1.0)
    elif timed:
        run_phase(state, "time", time_finalists, until=1.0)
    if timed:
        run_phase(state, "explain", explain, until=1.0)
    return Found([_with_latency(trial) for trial in state.trials.values()], tuple(state.defects))


def run_phase(
    state: SearchState, name: str, step: Callable[[SearchState], None], until: float | None = SEARCHING
) -> None:
    """Run a phase as far as the time allows. A first Ctrl-C ends it, where there is something to keep.

    Args:
        state: the search's.
        name: the phase's, for progress and for the report.
        step: the phase.
        until: the share of the time limit after which the phase is left out; None if it never is.

    Raises:
        KeyboardInterrupt: there was nothing to keep yet.
        OSError: the disk is full.
    """
    clock = state.context.clock
    if until is not None and clock.is_over(until):
        return
    phase(f"{state.profile.name}: {name}")
    with clock.phase(stoppable=lambda: state.has_results):
        try:
            step(state)
        except (OSError, TimeUp):
            raise
        except Exception as error:  # the results of other phases are worth more than this phase
            ours = not isinstance(error, EdgewrightError)
            what = f"{type(error).__name__}: {error}; please report it." if ours else str(error)
            state.defects.append(f"The search could not {name}: {what}")


def _with_latency(trial: Trial) -> Trial:
    """Give a trial that was no finalist the latency of its screening."""
    return dataclasses.replace(trial, latency=trial.latency or trial.screened_latency)
