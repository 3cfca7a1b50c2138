"""The finalists that are measured to the end, and those that need not be."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
from search_parts import block, trial

from hwbench.measurements.latency import Latency
from toolchain.search.phases.time_finalists import contenders, reject_far_slower


def timed(number, *ms):
    return dataclasses.replace(trial(number), latency=Latency("single_stream", 1, 1, tuple(map(block, ms))))


def test_what_screening_found_far_slower_is_rejected():
    source, best, near, far, unknown = trial(0, 90), trial(1, 10), trial(2, 14), trial(3, 16), trial(4)
    judged = reject_far_slower([source, best, near, far, unknown], best)
    assert [one.name for one in judged if not one.is_running] == [far.name]
    assert best.name in judged[3].rejected


def test_after_three_rounds_what_is_clearly_slower_is_left_behind():
    fast, close, slow = timed(1, 1, 1.1, 1), timed(2, 1.1, 1.2, 1.3), timed(3, 1.2, 1.3, 1.4)
    assert contenders([fast, close, slow], lambda one: True) == [fast, close]


def test_two_blocks_are_too_few_and_those_of_screening_count():
    field = [timed(1, 1, 1), timed(2, 9, 9)]
    assert contenders(field, lambda one: True) == field
    screened = [dataclasses.replace(one, blocks=(block(ms),)) for one, ms in zip(field, (1.2, 8))]
    assert contenders(screened, lambda one: True) == screened[:1]
    disturbed = [dataclasses.replace(one, blocks=(block(ms),)) for one, ms in zip(field, (8.9, 8))]
    assert contenders(disturbed, lambda one: True) == disturbed


def test_one_round_is_too_few():
    field = [dataclasses.replace(timed(n, n), blocks=(block(n), block(n))) for n in (1, 9)]
    assert contenders(field, lambda one: True) == field


def test_one_that_may_not_be_selected_leaves_nobody_behind():
    field = [timed(1, 1, 1, 1), timed(2, 2, 2, 2), timed(3, 9, 9, 9)]
    assert contenders(field, lambda one: one is not field[0]) == field[:2]


def test_what_was_not_shown_to_be_accurate_is_timed_no_longer_once_another_meets_all_budgets():
    accurate, fast = timed(1, 2, 2, 2), timed(2, 1, 1, 1)
    assert contenders([accurate, fast], lambda one: one is accurate, lambda one: one is accurate) == [accurate]
    assert contenders([accurate, fast], lambda one: False, lambda one: one is accurate) == [accurate, fast]


_blocks = st.lists(st.floats(0.5, 2), min_size=3, max_size=6)


@given(st.lists(st.tuples(_blocks, st.booleans()), min_size=1, max_size=7))
def test_the_fastest_that_will_do_is_never_left_behind(figures):
    field = [timed(number, *ms) for number, (ms, _) in enumerate(figures)]
    good = {one.name for one, (_, met) in zip(field, figures) if met}
    kept = contenders(field, lambda one: one.name in good)
    if good:
        assert min((one for one in field if one.name in good), key=lambda one: one.speed_ms) in kept
    else:
        assert kept == field
