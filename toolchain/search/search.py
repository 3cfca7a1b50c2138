"""The search, phase by phase: make, screen, tune, accept, mend; then the finalists are measured well.

Candidates are ordered by the ranking data, and accepted on the evaluation data, which only finalists are scored on.
Nothing runs beside a measurement of time; what is not timed runs in as many processes as there are cores for.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hwbench.budgets.budget import Budget
from hwbench.measurements.interleaved import BLOCKS
from hwbench.progress import begin_stage
from runtimes.errors import EdgewrightError
from runtimes.profile import HardwareProfile
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.candidates.candidate import Candidate, marked, typed
from toolchain.search import finalists, mixed_precision, parallel, runtime_settings, screening, slow_layers, variants
from toolchain.search.acceptance import Acceptance
from toolchain.search.phases import phases
from toolchain.search.time_limit import SEARCHING, TimeUp
from toolchain.search.trials import BuildContext, Finish, Trial, make, rank, score, screen, screened_latency, time_once

_TUNED = 2  # candidates whose settings are tried: the fastest
_NEAR = 1.3  # of the fastest's time; settings make up for no more
_ROUND = 2  # screening's third round: blocks long enough to tell a few percent
_LOW = ("int8", "bf16", "fp16")  # what layers are kept out of
_ENOUGH_RUNS = 80  # in a block; six are more than the 459 that MLPerf's early stopping takes for a p99
_STARTUP_S = 1.0  # a process, a runtime and a model, roughly


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        trials: every candidate that was tried, in the order tried, and what came of it.
        defects: phases that failed, and why, in sentences.
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
    """Find what is worth measuring well, and measure it.

    Args:
        plan: what to start with.
        profile: the device.
        budgets: what the chosen one is to meet.
        context: what measures; its clock says when to stop.
        full: the plan that finalists are measured by.
        timed: whether this machine is the device; without, all are scored and none is timed.
        exhaustive: measure all of the plan well, and try nothing beyond it.

    Raises:
        KeyboardInterrupt: there was nothing to keep yet.
        OSError: the disk is full.
    """
    run = _Search(profile, tuple(budgets), context, full, timed)
    steps = {
        step.__name__: step
        for step in (
            *(run.screen, run.tune, run.return_slow_layers, run.rank, run.accept),
            *(run.keep_sensitive_layers, run.time, run.time_all, run.explain),
        )
    }
    make, *others = phases(timed=timed, exhaustive=exhaustive)
    begin_stage(f"{profile.name}: {make.name}")
    run.make_candidates(plan)
    if not exhaustive:
        run.drop_what_is_too_large()
    for phase in others:
        run.phase(steps[phase.step], phase.until)
    return Found([run.reported(trial) for trial in run.trials.values()], tuple(run.defects))


class _Search:
    """The field as it stands: attempts by name. Phases replace them, so that one that is cut short loses nothing."""

    def __init__(
        self,
        profile: HardwareProfile,
        budgets: tuple[Budget, ...],
        context: BuildContext,
        full: SamplingPlan,
        timed: bool,
    ) -> None:
        self.trials: dict[str, Trial] = {}
        self.defects: list[str] = []
        self._profile, self._context, self._full = profile, context, full
        self._accepts = Acceptance(budgets, context)
        self._timed, self._is_screened = timed, False

    def phase(self, step: Callable[[], None], until: float | None = SEARCHING) -> None:
        """Do what there is time for. A first Ctrl-C ends the phase where there is something to keep.

        Args:
            step: a method of this class.
            until: share of the time limit after which the phase is left out; None if it never is.
        """
        if until is not None and self._context.clock.is_over(until):
            return
        name = step.__name__.replace("_", " ")
        begin_stage(f"{self._profile.name}: {name}")
        with self._context.clock.phase(stoppable=self._has_something):
            try:
                step()
            except (OSError, TimeUp):
                raise
            except Exception as error:  # what was found by other phases is worth more than this one
                ours = not isinstance(error, EdgewrightError)
                what = f"{type(error).__name__}: {error}; please report it." if ours else str(error)
                self.defects.append(f"The search could not {name}: {what}")

    def make_candidates(self, plan: Iterable[Candidate]) -> None:
        """At least one, whatever the clock says."""
        for number, candidate in enumerate(plan):
            if number and self._context.clock.is_over():
                self._put(Trial(candidate, f"not tried: {self._context.clock.stopped}"))
            else:
                self._make(candidate)

    def drop_what_is_too_large(self) -> None:
        """A size is known as soon as there is a file."""
        self._put_all(self._accepts.small_enough(self._running()))

    def screen(self) -> None:
        """Measure all a little, then the better ones a little more; only those that may stay are ranked."""

        def one(trial: Trial, plan: SamplingPlan) -> Trial:
            self._context.clock.check()
            return self._put(screen(trial, self._context, plan))

        def ranked(field: list[Trial]) -> list[Trial]:
            self._put_all(field)
            self.rank()
            return [self.trials[trial.name] for trial in field]

        if len(self._running()) > 1:
            field = list(self.trials.values())
            self._put_all(
                screening.halve(field, one, ranked, self._full, keep=self._put_all, breaks=self._accepts.is_out)
            )
        else:
            self.rank()
        self._is_screened = True

    def rank(self) -> None:
        """Score on the ranking data."""

        def keep(finish: Finish) -> None:
            self._put(finish())
            self._context.clock.check()

        self._each(rank, keep, self._running())

    def tune(self) -> None:
        """Try other settings for the fastest; a variant that is faster takes its parent's place."""
        fastest = [trial for trial in self._fastest() if not self._accepts.is_wrong(trial)]
        for parent in fastest[:_TUNED]:
            if _speed(parent) <= _NEAR * _speed(fastest[0]):
                self._settle(
                    parent, [self._vary(parent, candidate) for candidate in runtime_settings.variants(parent.candidate)]
                )

    def return_slow_layers(self) -> None:
        """One candidate in which the layers that int8 made slower are float again."""
        right = (trial for trial in self._fastest() if not self._accepts.is_wrong(trial))
        int8 = next((trial for trial in right if trial.computes_in("int8")), None)
        if int8 is not None:
            layers = self._context.builder.layers()
            slow = slow_layers.slow_layers(int8, self.trials.values(), self._context.timed, layers)
            if slow:
                recipe = dataclasses.replace(int8.candidate.recipe, keep=slow)
                self._settle(int8, [self._try(dataclasses.replace(int8.candidate, recipe=recipe))])

    def accept(self) -> None:
        """Score the finalists on the evaluation data; of a field that was not screened to its end, the fastest.

        The source goes first, which takes no run, then the fastest; one of them, whatever the clock says.
        """
        clock = self._context.clock
        if clock.stopped and not self._is_screened:
            self._put_all(screening.cut_short(self._running(), clock.stopped, self._accepts.is_out))

        def keep(finish: Finish) -> None:
            self._put(finish())
            if clock.is_spent:
                clock.check(1.0)

        self._put_all(score(trial, self._context)() for trial in self._running() if trial.is_source)
        try:
            self._each(score, keep, [trial for trial in self._fastest() if not trial.is_source])
        except TimeUp:
            late = [trial for trial in self._running() if trial.accuracy is None]
            self._put_all(screening.unfinished(one, str(clock.stopped)) for one in late)
            raise

    def keep_sensitive_layers(self) -> None:
        """Where the fastest of a low precision misses its accuracy budget, keep the fewest layers in float until it
        does not.
        """
        for precision in _LOW:
            lowest = next((a for a in self._fastest() if a.computes_in(precision)), None)
            if lowest is not None and not self._accepts.meets(lowest):
                self._mend(lowest)

    def _mend(self, trial: Trial) -> None:
        """Unless one that is right is as fast, which no mended one can beat."""
        right = [other for other in self._fastest() if self._accepts.is_right(other)]
        candidate = typed(trial.candidate)
        if candidate is None or self._is_slower(trial, right):
            return

        def attempt(candidate: Candidate) -> Trial:
            self._context.clock.check()
            return self._put(
                (rank if self._accepts.ranks_by_same_metric else score)(self._make(candidate), self._context)()
            )

        ranking = self._context.builder.sensitivity(candidate.recipe)
        for found in mixed_precision.recover(candidate, ranking, attempt, self._accepts.meets):
            self._put(found)
            if found.is_running:
                self._put(score(found, self._context)())
                self.drop_what_is_too_large()
                rival = self.trials[found.name]
                if self._timed and rival.is_running:
                    self._put_all(variants.measure(trial, [rival], self._screen_well)[1:])

    def time(self) -> None:
        """Measure those that may be chosen as well as their order asks for, or as the time allows."""
        best = next((trial for trial in self._fastest() if trial.median_ms and self._accepts.is_right(trial)), None)
        if best is not None:
            self._put_all(finalists.within_reach(self._running(), best))
        plan = dataclasses.replace(self._full, min_runs=min(_ENOUGH_RUNS, self._full.min_runs))
        self._time(plan, lambda trials: finalists.contenders(trials, self._accepts.is_met))

    def time_all(self) -> None:
        """Measure all that break no accuracy budget to the end of the plan."""
        self._time(self._full, lambda trials: trials)

    def _time(self, plan: SamplingPlan, still: Callable[[list[Trial]], list[Trial]]) -> None:
        """Rounds of one block each for those that are still in the running."""
        wanted = [trial.name for trial in self._running() if trial.accuracy and not self._accepts.breaks(trial)]
        self._context.clock.check(1.0)
        plan = self._context.clock.fitted(plan, blocks=len(wanted) * BLOCKS, startup_s=_STARTUP_S)
        for block in range(BLOCKS):
            for name in wanted:
                self._put(time_once(self.trials[name], self._context, plan))
            running = [self.trials[name] for name in wanted if self.trials[name].is_running]
            wanted = [trial.name for trial in still(running)]
            why = f"timed in {block + 1} of {BLOCKS} processes: slower beyond doubt than one that meets every budget"
            self._put_all(dataclasses.replace(one, behind=why) for one in running if one.name not in wanted)

    def explain(self) -> None:
        """Say of int8 that is slower than float why it is."""
        for trial in list(self.trials.values()):
            self._context.clock.check(1.0)
            if trial.computes_in("int8") or trial.computes_in("int8-dynamic"):
                remark = slow_layers.remark(trial, self.trials.values(), self._context.timed)
                self._put(dataclasses.replace(trial, remark=remark))

    def reported(self, trial: Trial) -> Trial:
        """With screening's latency where it has no better one."""
        return dataclasses.replace(trial, latency=trial.latency or screened_latency(trial))

    def _make(self, candidate: Candidate) -> Trial:
        """On its own device, an engine that cannot run goes, since what stands in for it has no say."""
        candidate = marked(candidate, (trial.candidate for trial in self.trials.values()))
        made = make(candidate, self._profile, self._context)
        if self._timed and made.is_running and made.stands_in is not None:
            made = dataclasses.replace(
                made, rejected=f"its engine cannot run here, so it was not timed: {made.stands_in}"
            )
        return self._put(made)

    def _each(
        self, step: Callable[[Trial, BuildContext], Finish], keep: Callable[[Finish], object], running: Sequence[Trial]
    ) -> None:
        """An untimed step for several."""
        threads = max((trial.candidate.settings.threads for trial in running), default=0)
        count = parallel.count(threads, self._context.machine.cores)
        parallel.each(lambda trial: step(trial, self._context), running, count, keep)

    def _try(self, candidate: Candidate) -> Trial:
        self._context.clock.check()
        tried = next((trial for trial in self.trials.values() if trial.candidate == candidate), None)
        if tried is not None:
            return dataclasses.replace(tried, rejected="tried already")
        made = self._put(rank(self._make(candidate), self._context)())
        self.drop_what_is_too_large()
        return self.trials[made.name]

    def _vary(self, parent: Trial, candidate: Candidate) -> Trial:
        """The same file with other settings, which ranks as its parent does."""
        self._context.clock.check()
        return self._put(dataclasses.replace(self._make(candidate), ranked=parent.ranked))

    def _settle(self, parent: Trial, varied: Sequence[Trial]) -> None:
        """Measure a parent and its variants side by side; the fastest stays, the others say why they go."""
        running = [rival for rival in varied if rival.is_running]
        if running:
            measured, *others = variants.measure(parent, running, self._screen_well)
            measured, *others = variants.settle(measured, others)
            self._put_all([dataclasses.replace(measured, blocks=(*parent.blocks, *measured.blocks)), *others])

    def _screen_well(self, trial: Trial) -> Trial:
        self._context.clock.check()
        return screen(trial, self._context, screening.plan_of(_ROUND, self._full))

    def _is_slower(self, low: Trial, right: Sequence[Trial]) -> bool:
        mine, best = low.speed_ms, min((trial.speed_ms for trial in right if trial.speed_ms), default=None)
        return mine is not None and best is not None and mine >= best

    def _has_something(self) -> bool:
        found = self.trials.values()
        return any(one.blocks or one.latency if self._timed else one.accuracy for one in found)

    def _running(self) -> list[Trial]:
        return [trial for trial in self.trials.values() if trial.is_running]

    def _fastest(self) -> list[Trial]:
        """Those that are running, by screening's figures; what has none comes last, the first tried first."""
        return sorted(self._running(), key=_speed)

    def _put(self, trial: Trial) -> Trial:
        self.trials[trial.name] = trial
        return trial

    def _put_all(self, trials: Iterable[Trial]) -> None:
        for trial in trials:
            self._put(trial)


def _speed(trial: Trial) -> float:
    return trial.speed_ms if trial.speed_ms is not None else math.inf
