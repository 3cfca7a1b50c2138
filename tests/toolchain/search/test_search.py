"""The phases that a clock or a finished race cuts short, in a context without a model."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from search_parts import block, trial

from hwbench.budgets.budget import parse_all
from hwbench.machine.identity import this_machine
from hwbench.measurements.accuracy import Accuracy
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.search.acceptance import Acceptance
from toolchain.search.phases.accept import accept
from toolchain.search.phases.screen import rank_fastest, screen
from toolchain.search.phases.time_finalists import time_finalists
from toolchain.search.phases.tune import tune
from toolchain.search.schedule import Phase
from toolchain.search.search import run_phase
from toolchain.search.state import SearchState
from toolchain.search.time_limit import SEARCHING, TimeLimit

SCORE = Accuracy("top1", True, 1, 1.0, scores=(1.0,))


class BuildContext:
    """A stand-in that `trial_steps.score` and `sample` accept; a score takes `takes_s` of the time limit."""

    def __init__(self, limit_s=None, takes_s=0.0, interrupted_at=None):
        self._samples, self._interrupted_at = itertools.count(1), interrupted_at
        self.clock, self.machine = TimeLimit(limit_s), this_machine()
        self.builder = SimpleNamespace(name="m", calibration=None, make=self._make)
        self.varied, self.ran = [], []
        self.scorer = SimpleNamespace(
            samples=SimpleNamespace(file=Path("x.npz")),
            score=self._score,
            source=lambda: SCORE,
            names=("top1",),
        )
        self.ranking = SimpleNamespace(names=("parity",))
        self.target, self.timed, self._takes_s = self, Path(), takes_s
        self.other_sizes = self.unlabelled = None
        self.scored_in = set()

    def tick(self, what):
        pass

    def is_source(self, candidate):
        return candidate == trial(0).candidate

    def _make(self, candidate, profile):
        """Every variant is slower than every parent, so that none takes its parent's place."""
        self.varied.append(candidate)
        return SimpleNamespace(bundle=Path("99"), artifact=trial(1).artifact, stands_in=None, computed_by="")

    def run(self, bundle, inputs, outputs):
        self.ran.append(bundle)
        np.savez(outputs, y=np.array([float(bundle.name)] if bundle.name.isdigit() else [0.0]))

    def sample(self, bundle, inputs, plan):
        if next(self._samples) == self._interrupted_at:
            raise KeyboardInterrupt
        return block(float(bundle.name))

    def _ranked(self, outputs=None):
        return Accuracy("parity", True, 1, 1.0, scores=(1.0,))

    def _score(self, outputs):
        self.scored_in.add(threading.get_ident())
        self.clock._start -= self._takes_s
        return SCORE


def phase_of(run, until=SEARCHING):
    return Phase(run, lambda candidates, finalists: 0, until)


@pytest.fixture
def started(device):
    def start(context, *trials, timed=True):
        state = SearchState(device, context, SamplingPlan(), timed, Acceptance((), context))
        state.put_all(trials)
        return state

    return start


def test_scoring_ends_with_the_time_limit_but_not_before_the_source_and_one_more(started):
    context = BuildContext(100, takes_s=101)
    context.machine = dataclasses.replace(context.machine, cores=1)
    state = started(context, trial(1, 3), trial(2, 2), trial(3, 4), trial(0, 9))
    run_phase(state, phase_of(accept, until=None))
    *others, source = state.trials.values()
    assert source.accuracy is not None
    assert len([one for one in others if one.accuracy]) == 1
    for one in others:
        told = f"screened at p50 {one.median_ms:.0f} ms, not scored: The time limit of 100 s ended the search"
        assert one.rejected == (None if one.accuracy else told)


def test_the_fastest_is_scored_though_time_was_over_when_a_slower_one_beside_it_ended(started):
    context = BuildContext(100, takes_s=101)
    context.machine = dataclasses.replace(context.machine, cores=2)
    first = threading.Event()
    run = context.run

    def late(bundle, inputs, outputs):
        if bundle == Path("fast"):
            first.wait(10)
        run(bundle, inputs, outputs)

    context.run = late
    score = context.scorer.score

    def scored(outputs):
        first.set()
        return score(outputs)

    context.scorer.score = scored
    field = [dataclasses.replace(trial(n, ms), bundle=Path(name)) for n, ms, name in ((1, 2, "fast"), (2, 3, "slow"))]
    state = started(context, trial(0, 9), *field)
    run_phase(state, phase_of(accept, until=None))
    assert state.trials[trial(1).name].accuracy is not None


def test_after_ctrl_c_what_is_left_is_scored(started):
    context = BuildContext(100)
    with context.clock.phase():
        raise KeyboardInterrupt
    state = started(context, trial(1, 3), trial(2, 2), trial(0, 9))
    run_phase(state, phase_of(accept, until=None))
    assert all(one.accuracy for one in state.trials.values())


def interrupted(state):
    raise KeyboardInterrupt


def test_where_nothing_is_timed_ctrl_c_keeps_what_was_scored(started):
    context = BuildContext()
    state = started(context, trial(0), trial(1), timed=False)
    with pytest.raises(KeyboardInterrupt):
        run_phase(state, phase_of(interrupted))
    run_phase(state, phase_of(accept, until=None))
    run_phase(state, phase_of(interrupted))
    assert context.clock.stopped == "Ctrl-C ended the search"


def test_where_speed_decides_scores_alone_are_nothing_to_keep(started):
    state = started(BuildContext(), trial(0), trial(1))
    run_phase(state, phase_of(accept, until=None))
    with pytest.raises(KeyboardInterrupt):
        run_phase(state, phase_of(interrupted))


def test_ctrl_c_in_screening_keeps_what_was_measured_by_then(started):
    context = BuildContext(interrupted_at=3)
    state = started(context, *(dataclasses.replace(trial(n), bundle=Path(str(n + 1))) for n in range(5)))
    run_phase(state, phase_of(screen))
    run_phase(state, phase_of(tune))
    run_phase(state, phase_of(accept, until=None))
    source, measured, _, *others = state.trials.values()
    assert (source.median_ms, measured.median_ms) == (1, 2)
    assert source.accuracy is not None
    assert measured.accuracy is not None
    assert {one.rejected for one in others} == {"ranked, not scored: Ctrl-C ended the search"}
    assert not state.defects


def test_a_field_that_was_screened_to_its_end_is_scored_whole_though_time_for_searching_is_over(started):
    context = BuildContext(100)
    field = [dataclasses.replace(trial(n), bundle=Path(str(5 + n / 10))) for n in range(1, 5)]
    state = started(context, dataclasses.replace(trial(0), bundle=Path("9")), *field)
    run_phase(state, phase_of(screen))
    context.clock._start -= 70
    run_phase(state, phase_of(tune))
    run_phase(state, phase_of(accept, until=None))
    assert all(one.accuracy for one in state.trials.values())


def test_what_there_is_no_time_for_is_not_begun(started):
    context, began = BuildContext(100), []
    state = started(context, trial(0))
    context.clock._start -= 70
    run_phase(state, phase_of(lambda _: began.append("search")))
    run_phase(state, phase_of(lambda _: began.append("time"), until=1.0))
    context.clock._start -= 40
    run_phase(state, phase_of(lambda _: began.append("late"), until=1.0))
    run_phase(state, phase_of(lambda _: began.append("accept"), until=None))
    assert began == ["time", "accept"]


def test_the_users_metric_is_called_in_this_thread_alone(started):
    context = BuildContext()
    state = started(context, *(trial(number, 1) for number in range(4)))
    run_phase(state, phase_of(accept, until=None))
    assert context.scored_in == {threading.get_ident()}


def drafted(number, ms):
    return dataclasses.replace(trial(number, ms), ranked=None, is_draft=True)


def ranks(context):
    context.ranking = SimpleNamespace(names=("parity",), samples=context.scorer.samples, score=context._ranked)
    return context


def test_what_is_far_slower_than_float32_is_never_fitted(started):
    context = ranks(BuildContext())
    state = started(context, trial(0, 9), trial(7, 3), drafted(1, 4), drafted(6, 5))
    rank_fastest(state)
    _, floats, near, far = state.trials.values()
    assert context.varied == [near.candidate]
    assert (near.is_draft, near.median_ms, near.ranked is not None) == (False, 4, True)
    assert far.rejected.startswith(f"1.7x slower in screening than {floats.name}")


def test_float32_that_is_far_from_the_source_has_no_draft_rejected(started):
    context = ranks(BuildContext())
    state = started(context, trial(0, 9), trial(7, 3, score=0.9), drafted(6, 5))
    rank_fastest(state)
    assert context.varied == [trial(6).candidate]
    assert all(one.is_running for one in state.trials.values())


def with_settings(number, ms, threads=1, **options):
    made = trial(number, ms)
    settings = RuntimeSettings(threads, options)
    candidate = dataclasses.replace(made.candidate, settings=settings, variant=f"{threads} {sorted(options)}")
    return dataclasses.replace(made, candidate=candidate, bundle=Path(f"{threads}{sorted(options)}"))


def test_one_file_is_scored_once_however_many_numbers_of_threads_were_tried(started):
    context = BuildContext()
    field = [
        with_settings(1, 3, 4),
        with_settings(1, 3.1, 2),
        with_settings(1, 3.2, 1),
        with_settings(1, 3.3, 4, x="1"),
    ]
    state = started(context, *field)
    run_phase(state, phase_of(accept, until=None))
    assert all(one.accuracy for one in state.trials.values())
    assert [str(bundle) for bundle in context.ran] == ["4[]", "4['x']"]


@pytest.mark.parametrize("cores", [1, 4])
def test_what_is_far_slower_than_one_that_may_be_selected_is_not_scored(started, cores):
    context = BuildContext()
    context.machine = dataclasses.replace(context.machine, cores=cores)
    state = started(context, trial(1, 3), trial(2, 4), trial(3, 30))
    run_phase(state, phase_of(accept, until=None))
    assert [one.accuracy is not None for one in state.trials.values()] == [True, True, False]
    assert "10x slower in screening" in state.trials[trial(3).name].rejected


def test_who_is_left_behind_says_so(started):
    field = [dataclasses.replace(trial(n), bundle=Path(str(n)), accuracy=SCORE) for n in (1, 2)]
    state = started(BuildContext(), *field)
    run_phase(state, phase_of(time_finalists))
    fast, slow = state.trials.values()
    assert (len(fast.latency.blocks), fast.behind) == (6, None)
    assert len(slow.latency.blocks) == 3
    told = f"timed in 3 of 6 processes: clearly slower than {fast.name}, which meets every budget"
    assert slow.behind == told


def test_few_samples_show_nothing_of_those_that_others_are_left_behind(started):
    known = Accuracy("top1", True, 10, 1.0, scores=(1.0,) * 10, proportion=True)
    same = dataclasses.replace(known, reference=known)
    context = BuildContext()
    state = started(
        context,
        dataclasses.replace(trial(0), bundle=Path("2"), accuracy=dataclasses.replace(same, is_source=True)),
        dataclasses.replace(trial(1), bundle=Path("1"), accuracy=same),
    )
    state.acceptance = Acceptance(tuple(parse_all(["accuracy_drop<=0.01"])), context)
    run_phase(state, phase_of(time_finalists))
    source, fast = state.trials.values()
    assert fast.behind is None
    assert source.behind.endswith(f"slower than {fast.name}, which meets every budget as far as so few samples tell")


def tuned(started, *ms):
    """The parents whose settings were varied, of a field with those medians."""
    context = BuildContext()
    field = [dataclasses.replace(trial(n, each), bundle=Path(str(each))) for n, each in enumerate(ms, 1)]
    state = started(context, *field)
    run_phase(state, phase_of(tune))
    assert state.defects == []
    return {one.median_ms for one in field if one.candidate.recipe in {varied.recipe for varied in context.varied}}


def test_settings_are_tried_for_the_two_fastest(started):
    assert tuned(started, 10, 11, 12) == {10, 11}


def test_settings_are_not_tried_for_what_they_could_not_make_the_fastest(started):
    assert tuned(started, 10, 12) == {10, 12}
    assert tuned(started, 10, 14) == {10}


def test_what_was_not_measured_is_not_the_fastest(started):
    state = started(BuildContext(), trial(1), trial(2, 2), trial(3, 1))
    assert [one.median_ms for one in state.fastest] == [1, 2, None]


class Resized:
    """A context with samples of another size, at which the bundles of some names are wrong."""

    def __init__(self, context, wrong):
        self.data, self._wrong = SimpleNamespace(file=Path("sizes.npz")), wrong
        context.other_sizes = self
        context.ranking = SimpleNamespace(
            names=("parity",), samples=SimpleNamespace(file=Path()), score=context._ranked, source=context._ranked
        )

    def fault(self, outputs):
        return "it fails" if float(outputs["y"][0]) in self._wrong else None


def test_what_is_wrong_at_other_sizes_rejects_no_slower_one(started):
    """Else the fastest has the others rejected, and is rejected itself when accepted, so that the source is left."""
    context = BuildContext()
    Resized(context, wrong=(1.0,))
    field = [
        dataclasses.replace(trial(n), bundle=Path(str(ms)), ranked=None) for n, ms in enumerate((9, 1, 4, 5, 6, 7))
    ]
    state = started(context, *field)
    run_phase(state, phase_of(screen))
    source, fastest, second, *_ = state.trials.values()
    assert not state.defects
    assert fastest.rejected == "wrong at other sizes: it fails"
    assert source.is_running
    assert second.is_running
    assert second.fits_other_sizes  # as the fastest of what is left, it would have others rejected
