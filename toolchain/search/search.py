"""The search, phase by phase: make, screen, tune, accept, mend; then the finalists are measured well.

Candidates are ordered by the ranking data, and accepted on the evaluation data, which only finalists are scored on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from hwbench import dataset
from hwbench.accuracy import Accuracy
from hwbench.budget import Budget
from hwbench.measure import BLOCKS
from hwbench.progress import phase
from runtimes import plugins, samples
from runtimes.errors import EdgewrightError
from runtimes.profile import HardwareProfile
from runtimes.sampling import SamplingPlan
from toolchain.candidates import Candidate
from toolchain.node_times import NodeTime
from toolchain.search import mixed, payoff, screening, tuning
from toolchain.search.acceptance import breaks, meets
from toolchain.search.attempts import Attempt, Bench, make, score, screen, screened_latency, time_attempts
from toolchain.search.clock import TimeUp

_TUNED = 2  # candidates whose settings are tried: the fastest
_NEAR = 1.3  # of the fastest's time; settings make up for no more
_FAR = 1.5  # times the fastest that is right; short measurements are not wrong by as much
_GAIN = 0.97  # a variant takes its parent's place where it takes this share of its time, or less
_WORSE = 1.05  # by less, int8 is not called slower
_ROUND = 2  # screening's third round: blocks long enough to tell a few percent
_PROFILED_RUNS = 10
_STARTUP_S = 1.0  # a process, a runtime and a model, roughly


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        attempts: every candidate that was tried, in the order tried, and what came of it.
        defects: phases that failed, and why, in sentences.
    """

    attempts: list[Attempt]
    defects: tuple[str, ...] = ()


def search(
    plan: Sequence[Candidate],
    profile: HardwareProfile,
    budgets: Sequence[Budget],
    bench: Bench,
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
        bench: what measures; its clock says when to stop.
        full: the plan that finalists are measured by.
        timed: whether this machine is the device; without, all are scored and none is timed.
        exhaustive: measure all of the plan well, and try nothing beyond it.

    Raises:
        KeyboardInterrupt: there was nothing to keep yet.
        OSError: the disk is full.
    """
    run = _Search(profile, tuple(budgets), bench, full, timed)
    run.make(plan)
    if timed and not exhaustive:
        run.phase(run.screen)
        run.phase(run.tune)
        run.phase(run.return_slow_layers)
    run.phase(run.accept)
    if not exhaustive:
        run.phase(run.keep_sensitive_layers)
    if timed:
        run.phase(run.time)
        run.phase(run.explain)
    return Found([run.reported(attempt) for attempt in run.attempts.values()], tuple(run.defects))


class _Search:
    """The field as it stands: attempts by name. Phases replace them, so that one that is cut short loses nothing."""

    def __init__(
        self, profile: HardwareProfile, budgets: tuple[Budget, ...], bench: Bench, full: SamplingPlan, timed: bool
    ) -> None:
        self.attempts: dict[str, Attempt] = {}
        self.defects: list[str] = []
        self._profile, self._budgets, self._bench, self._full = profile, budgets, bench, full
        self._timed = timed

    def phase(self, step: Callable[[], None]) -> None:
        """Do what there is time for. A first Ctrl-C ends it where there is something to keep."""
        phase(f"{self._profile.name}: {step.__name__.replace('_', ' ')}")
        known = any(attempt.blocks or attempt.latency for attempt in self.attempts.values())
        with self._bench.clock.phase(stoppable=known):
            try:
                step()
            except (OSError, TimeUp):
                raise
            except Exception as error:  # what was found by other phases is worth more than this one
                ours = not isinstance(error, EdgewrightError)
                what = f"{type(error).__name__}: {error}; please report it." if ours else str(error)
                self.defects.append(f"The search could not {step.__name__.replace('_', ' ')}: {what}")

    def make(self, plan: Iterable[Candidate]) -> None:
        """Make and rank; at least one, whatever the clock says."""
        phase(f"{self._profile.name}: make candidates")
        for number, candidate in enumerate(plan):
            if number and self._bench.clock.is_over:
                self._put(Attempt(candidate, f"not tried: {self._bench.clock.stopped}"))
            else:
                self._make(candidate)

    def screen(self) -> None:
        """Measure all a little, then the better ones a little more."""

        def one(attempt: Attempt, plan: SamplingPlan) -> Attempt:
            self._bench.clock.check()
            return self._put(screen(attempt, self._bench, plan))

        first = screening.plan_of(0, self._full)
        if 1 < len(self._running()) <= screening.FINALISTS + 1:  # all stay, and tuning wants to know who is fast
            self._put_all([one(attempt, first) for attempt in self._running()])
        self._put_all(screening.halve(list(self.attempts.values()), one, self._full))

    def tune(self) -> None:
        """Try other settings for the fastest; a variant that is faster takes its parent's place."""
        fastest = self._fastest()
        for parent in fastest[:_TUNED]:
            if (_speed(parent) or 0.0) <= _NEAR * (_speed(fastest[0]) or 0.0):
                rivals = [self._vary(parent, candidate) for candidate in tuning.variants(parent.candidate)]
                self._settle(parent, [rival for rival in rivals if rival.is_running])

    def return_slow_layers(self) -> None:
        """One candidate in which the layers that int8 made slower are float again."""
        int8 = next((attempt for attempt in self._fastest() if _is_static_int8(attempt)), None)
        floats = int8 and self._float_twin(int8)
        if int8 is None or floats is None:
            return
        integers = self._node_times(int8)
        slow = payoff.slower_in_int8(integers, self._node_times(floats), self._bench.workshop.layers())
        if 0 < len(slow) < sum(item.kind == "integer product" for item in integers):
            recipe = dataclasses.replace(int8.candidate.recipe, keep=slow)
            rival = self._try(dataclasses.replace(int8.candidate, recipe=recipe))
            self._settle(int8, [rival] if rival.is_running else [])

    def accept(self) -> None:
        """Score the finalists on the evaluation data; of a field that was not screened to its end, the fastest."""
        if self._bench.clock.stopped:
            self._put_all(screening.cut_short(self._running(), f"not looked at: {self._bench.clock.stopped}"))
        for attempt in self._running():
            self._put(score(attempt, self._bench))

    def keep_sensitive_layers(self) -> None:
        """Where the fastest int8 misses its accuracy budget, keep the fewest layers in float with which it does not."""
        int8 = next((a for a in self._fastest() if _is_static_int8(a) and not self._meets(a)), None)
        right = [attempt for attempt in self._fastest() if self._meets(attempt)]
        if int8 is None or self._is_slower(int8, right):
            return
        ranking = self._bench.workshop.sensitivity(int8.candidate.recipe)

        def attempt(candidate: Candidate) -> Attempt:
            self._bench.clock.check()
            made = self._make(candidate)
            return made if self._ranks_by_labels or made.failure else self._put(score(made, self._bench))

        for found in mixed.recover(int8, ranking, attempt, self._meets):
            self._put(found)
            if found.is_running:
                scored = self._put(score(found, self._bench))
                if self._timed:
                    self._settle(int8, [scored], replace=False)

    def time(self) -> None:
        """Measure those that may be chosen as well as the plan asks for, or as the time allows."""
        self._let_slow_ones_go()
        wanted = [attempt for attempt in self._running() if attempt.accuracy and not self._breaks(attempt)]
        self._bench.clock.check(1.0)
        plan = self._bench.clock.fitted(self._full, blocks=len(wanted) * BLOCKS, startup_s=_STARTUP_S)
        self._put_all(time_attempts(wanted, self._bench, plan))

    def explain(self) -> None:
        """Say of int8 that is slower than float why it is."""
        for attempt in list(self.attempts.values()):
            self._bench.clock.check(1.0)
            floats = self._float_twin(attempt) if _is_int8(attempt) else None
            mine, other = _speed(attempt), _speed(floats)
            if floats is not None and mine is not None and other is not None and mine > _WORSE * other:
                times = self._node_times(attempt)
                if times:
                    self._put(dataclasses.replace(attempt, remark=payoff.explain(times, mine / other, floats.name)))

    def reported(self, attempt: Attempt) -> Attempt:
        """With screening's latency where it has no better one."""
        return dataclasses.replace(attempt, latency=attempt.latency or screened_latency(attempt))

    def _let_slow_ones_go(self) -> None:
        """What is far slower than another that is right cannot be chosen; the source stays, to compare with."""
        best = next((attempt for attempt in self._fastest() if attempt.median_ms and self._meets(attempt)), None)
        for attempt in self._running():
            mine, bar = attempt.median_ms, best.median_ms if best is not None else None
            if best is not None and mine and bar and mine > _FAR * bar and not attempt.is_source:
                figures = f"p50 {mine:.3g} against {bar:.3g} ms"
                reason = f"{mine / bar:.2g}x slower than {best.name} in screening ({figures}), which is right, too"
                self._put(dataclasses.replace(attempt, dropped=reason))

    def _make(self, candidate: Candidate, ranked: Accuracy | None = None) -> Attempt:
        """Make and rank. On its own device, an engine that cannot run goes, since what stands in for it has no say."""
        made = make(candidate, self._profile, self._bench, ranked)
        if self._timed and made.is_running and made.stands_in is not None:
            made = dataclasses.replace(
                made, dropped=f"its engine cannot run here, so it was not timed: {made.stands_in}"
            )
        return self._put(made)

    def _breaks(self, attempt: Attempt) -> bool:
        assert attempt.accuracy is not None
        return breaks(attempt, attempt.accuracy, self._budgets, self._bench)

    def _try(self, candidate: Candidate) -> Attempt:
        self._bench.clock.check()
        if candidate.name in self.attempts:
            return dataclasses.replace(self.attempts[candidate.name], dropped="tried already")
        return self._make(candidate)

    def _vary(self, parent: Attempt, candidate: Candidate) -> Attempt:
        """The same file with other settings, which ranks as its parent does."""
        self._bench.clock.check()
        return self._make(candidate, parent.ranked)

    def _settle(self, parent: Attempt, rivals: list[Attempt], *, replace: bool = True) -> None:
        """Measure a parent and its variants side by side; the fastest stays, the others say why they go."""
        if not rivals:
            return
        plan = screening.plan_of(_ROUND, self._full)
        field = [dataclasses.replace(attempt, blocks=()) for attempt in (parent, *rivals)]
        for _ in range(2):
            self._bench.clock.check()
            field = [screen(attempt, self._bench, plan) for attempt in field]
        # A parent that was measured before keeps what was measured then, too.
        fresh, *others = field
        self._put(dataclasses.replace(fresh, blocks=(*parent.blocks, *fresh.blocks)))
        base = fresh.median_ms
        running = [rival for rival in others if rival.is_running and rival.median_ms is not None]
        best = min(running, key=lambda rival: rival.median_ms or 0.0, default=None)
        for rival in others:
            self._put(rival)
        if base is None or best is None or best.median_ms is None or not replace:
            return
        wins = best.median_ms < _GAIN * base
        for rival in running:
            if rival is not best or not wins:
                winner, figure = (best.name, best.median_ms) if wins else (parent.name, base)
                reason = f"not clearly faster than {winner} (p50 {rival.median_ms:.3g} against {figure:.3g} ms)"
                self._put(dataclasses.replace(rival, dropped=reason))
        if wins and not parent.is_source:
            reason = f"{best.name} is faster (p50 {base:.3g} against {best.median_ms:.3g} ms)"
            self._put(dataclasses.replace(self.attempts[parent.name], dropped=reason))

    @property
    def _ranks_by_labels(self) -> bool:
        return self._bench.ranking.metric.name == self._bench.trial.metric.name

    def _meets(self, attempt: Attempt) -> bool:
        accuracy = attempt.ranked if self._ranks_by_labels and attempt.accuracy is None else attempt.accuracy
        return accuracy is not None and meets(attempt, accuracy, self._budgets, self._bench)

    def _is_slower(self, int8: Attempt, right: Sequence[Attempt]) -> bool:
        mine, best = _speed(int8), min(filter(None, map(_speed, right)), default=None)
        return mine is not None and best is not None and mine >= best

    def _running(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts.values() if attempt.is_running]

    def _fastest(self) -> list[Attempt]:
        """Those that are running, by screening's figures; the first tried first where there are none."""
        return sorted(self._running(), key=lambda attempt: _speed(attempt) or 0.0)

    def _float_twin(self, attempt: Attempt) -> Attempt | None:
        """The float model on the same runtime."""
        for other in self.attempts.values():
            same = other.candidate.runtime == attempt.candidate.runtime and other.artifact is not None
            if same and other.candidate.recipe.precision == "fp32":
                return other
        return None

    def _node_times(self, attempt: Attempt) -> list[NodeTime]:
        """Where an attempt's time goes; empty where its runtime does not tell."""
        candidate = attempt.candidate
        if not payoff.can_profile(candidate.runtime) or attempt.artifact is None:
            return []
        profiler = plugins.load(payoff.NODE_TIMES, candidate.runtime, "runtime")
        data = dataset.read(self._bench.timed, attempt.artifact.inputs)
        feeds = list(islice(samples.feeds(attempt.artifact.inputs, data.arrays), _PROFILED_RUNS))
        try:
            times: list[NodeTime] = profiler.node_times(
                attempt.artifact.file, candidate.settings, feeds, _PROFILED_RUNS
            )
        except EdgewrightError:  # it ran elsewhere; an explanation is not worth a candidate
            return []
        return times

    def _put(self, attempt: Attempt) -> Attempt:
        self.attempts[attempt.name] = attempt
        return attempt

    def _put_all(self, attempts: Iterable[Attempt]) -> None:
        for attempt in attempts:
            self._put(attempt)


def _is_int8(attempt: Attempt) -> bool:
    return attempt.candidate.recipe.precision in ("int8", "int8-dynamic") and attempt.artifact is not None


def _is_static_int8(attempt: Attempt) -> bool:
    return attempt.candidate.recipe.precision == "int8" and attempt.artifact is not None


def _speed(attempt: Attempt | None) -> float | None:
    """Its p50 in ms, by its best measurement."""
    if attempt is None:
        return None
    return float(np.median(attempt.latency.samples_ms)) if attempt.latency is not None else attempt.median_ms
