"""State of a search: the trials by name, in the order tried, and the questions that phases ask of them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hwbench import parallel
from runtimes.profile import HardwareProfile
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.candidates.candidate import Candidate, marked
from toolchain.search import successive_halving, trial_steps
from toolchain.search.acceptance import Acceptance
from toolchain.search.trial_steps import Finish, Samples
from toolchain.search.trials import BuildContext, Trial

_LONG_BLOCK = 2  # screening's third round, whose blocks are long enough to tell a few percent


@dataclass
class SearchState:
    """The trials of a search.

    Attributes:
        profile: the device.
        context: the parts that candidates share; its clock says when to stop.
        full: the plan that finalists are measured by.
        timed: this machine is the device, so that latency is measured.
        acceptance: judges trials by the build's budgets.
        candidates: the candidates to start with.
        exhaustive: all candidates of the start are measured well, and no others are tried.
        trials: every trial by its name, in the order tried.
        defects: the phases that failed, and why, in sentences.
        is_screened: screening came to its end.
    """

    profile: HardwareProfile
    context: BuildContext
    full: SamplingPlan
    timed: bool
    acceptance: Acceptance
    candidates: Sequence[Candidate] = ()
    exhaustive: bool = False
    trials: dict[str, Trial] = field(default_factory=dict)
    defects: list[str] = field(default_factory=list)
    is_screened: bool = False

    @property
    def running(self) -> list[Trial]:
        """The trials that neither failed nor were rejected."""
        return [trial for trial in self.trials.values() if trial.is_running]

    @property
    def fastest(self) -> list[Trial]:
        """The running trials by speed; trials that were not measured come last, in the order tried."""
        return sorted(self.running, key=speed)

    @property
    def lanes(self) -> int:
        """The number of trials that run at a time where nothing is timed, with the threads of the running trials."""
        threads = max((trial.candidate.settings.threads for trial in self.running), default=0)
        return parallel.count(threads, self.context.machine.processors)

    @property
    def has_results(self) -> bool:
        """True if there is something that Ctrl-C should not lose: a measurement, or a score if nothing is timed."""
        trials = self.trials.values()
        return any(trial.blocks or trial.latency if self.timed else trial.accuracy for trial in trials)

    def put(self, trial: Trial) -> Trial:
        """Add a trial, or put it in the place of an earlier state of the same candidate."""
        self.trials[trial.name] = trial
        return trial

    def put_all(self, trials: Iterable[Trial]) -> None:
        """Add or replace several trials."""
        for trial in trials:
            self.put(trial)

    def order_trials(self) -> None:
        """Put the trials in the order of the candidates to start with, in which a report lists them."""
        listed = {candidate: number for number, candidate in enumerate(self.candidates)}
        self.trials = {
            trial.name: trial for trial in sorted(self.trials.values(), key=lambda trial: listed[trial.candidate])
        }

    def make(self, candidate: Candidate, *, as_draft: bool = False) -> Trial:
        """Make a candidate; reject an engine that cannot run on its own device, since its stand-in proves nothing.

        Args:
            candidate: the candidate.
            as_draft: make a draft where there is one, which is as fast and not worth scoring.
        """
        candidate = marked(candidate, (trial.candidate for trial in self.trials.values()))
        made = trial_steps.make(candidate, self.profile, self.context, as_draft=as_draft)
        if self.timed and made.is_running and made.stands_in is not None:
            reason = f"its engine cannot run here, so it was not timed: {made.stands_in}"
            made = dataclasses.replace(made, rejected=reason)
        return self.put(made)

    def finish(self, trial: Trial) -> Trial:
        """Make anew what is a draft so far, as it would ship; its blocks stay, since it is as fast."""
        if not trial.is_draft:
            return trial
        return self.put(dataclasses.replace(self.make(trial.candidate), blocks=trial.blocks))

    def reject_too_large(self) -> None:
        """Reject the trials whose file is larger than a budget allows."""
        self.put_all(self.acceptance.reject_too_large(self.running))

    def score_each(self, running: Sequence[Trial], samples: Samples, store: Callable[[Finish], object]) -> None:
        """Score several trials, as many at a time as there are cores for; `store` takes each result.

        Of trials that differ in their threads alone, which are the same file, one is run; the others get its score.
        Drafts are finished first.
        """
        alike: dict[object, list[Trial]] = {}
        for trial in [self.finish(trial) for trial in running]:
            alike.setdefault(trial.computation, []).append(trial)

        def step(trials: Sequence[Trial]) -> tuple[Finish, Sequence[Trial]]:
            return trial_steps.score(trials[0], self.context, samples), trials[1:]

        def store_all(scored: tuple[Finish, Sequence[Trial]]) -> None:
            first = scored[0]()
            store(lambda: first)
            for trial in scored[1]:
                store(functools.partial(trial_steps.with_score_of, trial, first, samples))

        groups = [[*self._scored(trials[0], samples), *trials] for trials in alike.values()]
        parallel.each(step, groups, self.lanes, store_all)

    def _scored(self, trial: Trial, samples: Samples) -> list[Trial]:
        """Find a trial of the same file that has a score already; none if there is none."""
        same = (other for other in self.trials.values() if other.computation == trial.computation)
        return list(itertools.islice((one for one in same if trial_steps.is_scored(one, samples)), 1))

    def sample_long(self, trial: Trial) -> Trial:
        """Measure one more block of screening, long enough to tell a few percent.

        Raises:
            TimeUp: the time for searching is over.
        """
        self.context.clock.check()
        return trial_steps.sample(
            trial, self.context, successive_halving.round_plan(_LONG_BLOCK, self.full), final=False
        )


def speed(trial: Trial) -> float:
    """Return a trial's p50 in milliseconds; infinity if it was not measured, so that it sorts last."""
    return trial.speed_ms if trial.speed_ms is not None else math.inf
