"""Successive halving: the trials that are rejected, those that stay, and the reasons."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_parts import block, trial

from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.search.successive_halving import (
    FINALISTS,
    dominates,
    halve,
    reject_for_time,
    reject_slower_than_source,
    reject_worse_half,
    round_plan,
)

_fields = st.lists(
    st.tuples(st.floats(0.1, 100), st.floats(0, 1)), min_size=1, max_size=20, unique_by=lambda pair: pair[0]
)


def test_one_that_is_slower_and_no_closer_goes_with_the_reason():
    source, fast, slow = trial(0, 9), trial(1, 1, 0.99), trial(2, 3, 0.99)
    result = reject_worse_half([source, fast, slow], 0, lambda one: None)
    assert [a.is_running for a in result] == [True, True, False]
    assert result[2].rejected == (
        "3x slower than int8 (onnxruntime) in screening (p50 3 against 1 ms, 1 process each), "
        "and no closer to the source"
    )


def test_a_slower_one_that_is_closer_stays():
    result = reject_worse_half([trial(0, 9), trial(1, 1, 0.9), trial(2, 3, 0.99)], 0, lambda one: None)
    assert all(a.is_running for a in result)


def test_what_short_measurements_do_not_tell_apart_stays():
    assert not dominates(trial(1, 1.0), trial(2, 1.1))
    assert dominates(trial(1, 1.0), trial(2, 1.3))


def test_each_round_is_twice_as_long_as_the_last_and_none_longer_than_the_plan():
    full = SamplingPlan()
    plans = [round_plan(round_, full) for round_ in range(4)]
    assert [later.duration_s / sooner.duration_s for sooner, later in itertools.pairwise(plans)] == [2, 2, 2]
    assert plans[-1].duration_s == full.duration_s
    assert all(plan.min_runs >= 10 for plan in plans)


@given(_fields)
def test_halving_ends_with_few_and_never_loses_the_source_the_fastest_or_the_closest(figures):
    speeds = {}
    field = []
    for number, (ms, score) in enumerate(figures):
        one = trial(number, score=score)
        speeds[one.name] = ms
        field.append(one)

    def screen(one, plan):
        return dataclasses.replace(one, blocks=(*one.blocks, block(speeds[one.name])))

    result = halve(field, screen, lambda field: field, SamplingPlan())
    running = [a for a in result if a.is_running]
    assert len(running) <= FINALISTS + 1
    assert [a.name for a in result] == [a.name for a in field]
    assert result[0].is_running
    assert all(a.rejected for a in result if not a.is_running)
    assert all(speeds[a.name] <= 1.15 * speeds[field[0].name] for a in running)
    others = [a for a in field[1:] if speeds[a.name] <= 1.15 * speeds[field[0].name]]
    if others:
        fastest = min(speeds[a.name] for a in others)
        # Of forms that compute the same, the smallest stays, though it may seem to be slower by up to 5%.
        assert min(speeds[a.name] for a in running if not a.is_source) <= 1.05 * fastest
        closest = max(a.ranked.value for a in others)
        assert max(a.ranked.value for a in running if not a.is_source) >= closest - 0.002


def test_what_is_slower_than_the_source_is_not_ranked():
    field = [trial(0, 5), trial(1, 1), trial(2, 5.5), trial(3, 6)]
    asked = []

    def rank(running):
        asked.extend(a.name for a in running if a.is_running)
        return running

    result = halve(field, lambda one, plan: one, rank, SamplingPlan())
    assert asked == [a.name for a in field[:3]]
    assert result[3].rejected == (
        "1.2x slower than fp32 (onnxruntime) in screening (p50 6 against 5 ms, 1 process each), which loses no accuracy"
    )


def test_a_source_that_breaks_a_budget_lets_nothing_go():
    field = [trial(0, 5), trial(1, 6)]
    assert reject_slower_than_source(field, lambda one: "too large" if one.is_source else None) == field
    assert not reject_slower_than_source(field, lambda one: None)[1].is_running


def test_what_breaks_a_budget_lets_nothing_go():
    field = [trial(0, 9), trial(1, 1), trial(2, 3)]
    assert all(
        one.is_running for one in reject_worse_half(field, 0, lambda one: "too large" if one is field[1] else None)
    )


def test_what_breaks_a_budget_goes_before_what_does_not_but_for_the_fastest():
    """Six that are wrong and fast, four that are right: two of the former may meet the budget later."""
    wrong = [trial(n, n / 10, 0.1) for n in range(1, 7)]
    right = [trial(n, n, 0.9 + n / 100) for n in range(7, 11)]
    result = reject_worse_half([trial(0, 20), *wrong, *right], 0, lambda one: "off by half" if one in wrong else None)
    closest = right[3]
    assert [a.name for a in result if a.is_running][1:] == [a.name for a in (*wrong[:2], *right[:2], closest)]
    assert all(a.rejected.startswith(f"off by half; {n}x slower than int8 (") for n, a in enumerate(result[3:7], 3))
    assert f"slower than {right[0].name} in" in result[9].rejected


def test_of_those_as_close_the_fastest_stays():
    field = [trial(0, 20), *(trial(n, 5 + n / 10) for n in (1, 2, 3, 6, 8, 9, 10, 13, 15))]
    assert [a.name for a in reject_worse_half(field, 0, lambda one: None) if a.is_running] == [
        a.name for a in field[:6]
    ]


@pytest.mark.parametrize("finalists", [1, 2, 3])
def test_halving_ends_however_few_may_stay(finalists):
    field = [trial(0, 20), *(trial(n, n, n / 20) for n in range(1, 10))]
    wrong = {one.name for one in field[1:4]}

    def broken(one):
        return "wrong" if one.name in wrong else None

    result = halve(field, lambda one, plan: one, list, SamplingPlan(), broken=broken, finalists=finalists)
    assert sum(one.is_running for one in result) <= finalists + 1


def test_of_forms_of_the_same_float32_weights_the_smallest_stays_and_of_equal_size_the_most_exact():
    fp16, bf16 = trial(4, 5.1, 0.9999), trial(5, 5.0, 0.99)
    found = reject_worse_half([trial(0, 9), fp16, bf16], 0, lambda one: None)
    assert [one.is_running for one in found] == [True, True, False]
    assert found[2].rejected == "no faster and no more exact than fp16-storage (onnxruntime), which is no larger"


def test_a_form_that_is_clearly_faster_stays_though_it_is_less_exact():
    found = reject_worse_half([trial(0, 9), trial(4, 5.5, 0.9999), trial(5, 5.0, 0.99)], 0, lambda one: None)
    assert all(one.is_running for one in found)


def test_for_want_of_time_what_was_not_measured_goes_where_there_is_the_source():
    field = [trial(0, 9), trial(1), trial(2)]
    assert [one.is_running for one in reject_for_time(field, "no time", lambda one: None)] == [True, False, False]
    assert [one.is_running for one in reject_for_time(field[1:], "no time", lambda one: None)] == [True, False]
    elsewhere = reject_for_time(field, "no time", lambda one: None, timed=False)
    assert all(one.is_running for one in elsewhere)


def test_for_want_of_time_what_was_measured_goes_before_what_was_not():
    field = [trial(0, 9), trial(1), trial(2), trial(3, 5)]
    assert reject_for_time(field, "no time", lambda one: "wrong" if one.median_ms else None)[3].is_running


def test_what_goes_in_a_round_is_known_before_the_next():
    field, kept = [trial(0, 9), *(trial(n, n, n / 20) for n in range(1, 11))], []

    def screen(one, plan):
        if kept and not all(one.is_running for one in kept[-1]):
            raise KeyboardInterrupt
        return one

    with pytest.raises(KeyboardInterrupt):
        halve(field, screen, list, SamplingPlan(), store=kept.append)
    assert sum(not one.is_running for one in kept[-1]) == 5


def test_as_close_is_relative_to_the_score():
    assert dominates(trial(1, 1, score=29.98), trial(2, 2, score=30.0))  # such as dB
    assert not dominates(trial(1, 1, score=0.0100), trial(2, 2, score=0.0101))


def test_for_want_of_time_the_fastest_and_the_source_stay():
    field = [trial(0, 9), *(trial(n, 10 - n) for n in range(1, 6))]
    kept = [a.name for a in reject_for_time(field, "no time", lambda one: None) if a.is_running]
    assert kept == [field[0].name, field[4].name, field[5].name]
