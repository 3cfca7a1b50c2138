"""The search: it runs the phases one after another, as far as the time allows.

Candidates are ordered by the ranking samples, and accepted on the evaluation samples, on which only finalists are
scored. Nothing runs beside a measurement of time; other work runs in as many processes as there are cores for.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from hwbench.budgets import BUILD_CONFIDENCE
from hwbench.budgets.budget import Budget
from hwbench.progress import begin_stage
from runtimes.errors import EdgewrightError
from runtimes.profile import HardwareProfile
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.candidates.candidate import Candidate
from toolchain.search.acceptance import Acceptance
from toolchain.search.schedule import Phase, schedule
from toolchain.search.state import SearchState
from toolchain.search.time_limit import TimeUp
from toolchain.search.trials import BuildContext, Trial


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        trials: every candidate that was tried, in the order tried.
        defects: the phases that failed, and why, in sentences.
    """

    trials: list[Trial]
    defects: tuple[str, ...] = ()


def search(
    candidates: Sequence[Candidate],
    profile: HardwareProfile,
    budgets: Sequence[Budget],
    context: BuildContext,
    full: SamplingPlan,
    *,
    timed: bool,
    exhaustive: bool = False,
    confidence: float = BUILD_CONFIDENCE,
) -> SearchResult:
    """Find the candidates that are worth measuring well, and measure them.

    Args:
        candidates: the candidates to start with.
        profile: the device.
        budgets: the limits that the selected candidate is to meet.
        context: the parts that candidates share; its clock says when to stop.
        full: the plan that finalists are measured by.
        timed: this machine is the device; if not, candidates are scored and none is timed.
        exhaustive: measure all candidates of the start well, and try no others.
        confidence: the confidence that a verdict on accuracy takes.

    Raises:
        KeyboardInterrupt: Ctrl-C before there was anything to keep.
        OSError: the disk is full.
    """
    acceptance = Acceptance(tuple(budgets), context, confidence)
    state = SearchState(profile, context, full, timed, acceptance, tuple(candidates), exhaustive)
    context.clock.begin_search()
    make, *others = schedule(timed=timed, exhaustive=exhaustive)
    begin_stage(f"{profile.name}: {make.name}")
    make.run(state)
    for phase in others:
        run_phase(state, phase)
    return SearchResult([_with_latency(trial) for trial in state.trials.values()], tuple(state.defects))


def run_phase(state: SearchState, phase: Phase) -> None:
    """Run a phase until its share of the time limit is over. A first Ctrl-C ends it if there are results to keep.

    Raises:
        KeyboardInterrupt: there was nothing to keep yet.
        OSError: the disk is full.
    """
    clock = state.context.clock
    if phase.until is not None and clock.is_over(phase.until):
        return
    begin_stage(f"{state.profile.name}: {phase.name}")
    with clock.phase(stoppable=lambda: state.has_results):
        try:
            with clock.ends(phase.until) if phase.until is not None else contextlib.nullcontext():
                phase.run(state)
        except (OSError, TimeUp):
            raise
        except Exception as error:  # the results of other phases are worth more than this phase
            known = isinstance(error, EdgewrightError)
            reason = str(error) if known else f"{type(error).__name__}: {error}; please report it."
            state.defects.append(f"The search could not {phase.name}: {reason}")


def _with_latency(trial: Trial) -> Trial:
    """Give a trial that was no finalist the latency of its screening."""
    return dataclasses.replace(trial, latency=trial.latency or trial.screened_latency)
