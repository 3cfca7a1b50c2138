"""A candidate and its variants: the fastest stays."""

from __future__ import annotations

import dataclasses

from search_parts import block, trial

from toolchain.search.variants import measure, reject_slower


def test_they_are_measured_in_turns_and_what_was_before_does_not_count():
    asked = []

    def screen(one):
        asked.append(one.name)
        return dataclasses.replace(one, blocks=(*one.blocks, block(1)))

    field = measure(trial(0, 9), [trial(1), trial(2)], screen)
    assert asked == [a.name for a in field] * 2
    assert [a.median_ms for a in field] == [1, 1, 1]


def test_a_variant_that_is_clearly_faster_takes_the_place():
    parent, fast, slow = reject_slower(trial(1, 10), [trial(2, 9), trial(3, 9.5)])
    assert fast.is_running
    assert parent.rejected == "fp16 (onnxruntime) is faster (p50 10 against 9 ms)"
    assert slow.rejected == "slower than fp16 (onnxruntime) (p50 9.5 against 9 ms)"


def test_one_that_is_hardly_faster_does_not():
    parent, rival = reject_slower(trial(1, 10), [trial(2, 9.8)])
    assert parent.is_running
    assert rival.rejected == "not clearly faster than int8 (onnxruntime) (p50 9.8 against 10 ms)"


def test_the_source_stays_to_compare_with():
    parent, rival = reject_slower(trial(0, 10), [trial(1, 5)])
    assert parent.is_running
    assert rival.is_running


def test_what_failed_is_left_as_it_is():
    failed = trial(2, failure="it crashed")
    assert reject_slower(trial(1, 10), [failed]) == [trial(1, 10), failed]
