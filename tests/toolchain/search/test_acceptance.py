"""Trials that a budget of size rejects, and what is known to break a budget before there is a report."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

from search_parts import trial

from hwbench.budgets.budget import parse_all
from hwbench.machine.identity import this_machine
from hwbench.measurements.accuracy import Accuracy
from toolchain.search.acceptance import Acceptance

SIZE = ("size<=10B", "p50<=5ms")


def accepts(*budgets, ranked_by="parity", scored_by="top1", calibration="real"):
    ranking, scorer = (SimpleNamespace(names=(name,)) for name in (ranked_by, scored_by))
    context = SimpleNamespace(
        builder=SimpleNamespace(name="m", calibration=calibration),
        machine=this_machine(),
        ranking=ranking,
        scorer=scorer,
    )
    return Acceptance(tuple(parse_all(budgets)), context)


def of_size(number, size, **changes):
    one = trial(number, **changes)
    return dataclasses.replace(one, artifact=dataclasses.replace(one.artifact, size_bytes=size))


def top1(right, of, source):
    """`right` of the samples, where the source has `source` of them."""
    scores, reference = ([1.0] * n + [0.0] * (of - n) for n in (right, source))
    known = Accuracy("top1", True, of, source / of, proportion=True, scores=tuple(reference))
    return Accuracy("top1", True, of, right / of, proportion=True, scores=tuple(scores), reference=known)


def test_what_is_too_large_goes_and_the_source_stays_to_compare_with():
    source, large, small = accepts(*SIZE).reject_too_large([of_size(0, 40), of_size(1, 20), of_size(2, 10)])
    assert source.is_running
    assert small.is_running
    assert large.rejected.startswith("size<=10B: ")


def test_where_all_are_too_large_all_are_measured():
    field = [of_size(0, 40), of_size(1, 20)]
    assert accepts(*SIZE).reject_too_large(field) == field


def test_what_was_timed_counts_too():
    judge = accepts(*SIZE)
    assert not judge.broken_budgets(of_size(0, 10))
    assert judge.broken_budgets(of_size(0, 11))
    slow = trial(0, 9)
    assert judge.broken_budgets(dataclasses.replace(slow, blocks=slow.blocks * 6))
    assert not accepts().broken_budgets(trial(0, 9))


def test_a_collapse_shows_in_parity_whatever_the_budgets_measure():
    judge = accepts("accuracy_drop<=0.01")
    assert judge.broken_by_ranking(trial(1, 1, 0.1)) == "its outputs are off by more than half (parity 0.1)"
    assert not judge.broken_by_ranking(trial(1, 1, 0.9))
    assert not accepts("accuracy_drop<=0.01", calibration=None).broken_by_ranking(trial(1, 1, 0.1))  # on random inputs
    assert not judge.broken_by_ranking(trial(0, 1, 0.1))  # the source is right by definition


def test_where_the_ranking_data_has_labels_they_tell_what_is_wrong():
    judge = accepts("accuracy_drop<=0.05", ranked_by="top1")
    for right, wrong in ((500, True), (930, False), (980, False)):  # 930 of 1,000 may be within the budget
        one = dataclasses.replace(trial(1, 1), ranked=top1(right, 1000, 980))
        assert bool(judge.broken_by_ranking(one)) is wrong
        assert judge.broken_budgets(one) == judge.broken_by_ranking(one)
        scored = dataclasses.replace(one, accuracy=top1(980, 1000, 980))
        assert judge.broken_by_ranking(scored) is None  # the evaluation data is what counts
