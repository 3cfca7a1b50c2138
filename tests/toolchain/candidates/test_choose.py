"""Choosing the candidate to pack, and what is said of the others."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.budgets import budget
from hwbench.budgets.verdicts import Verdict, overall
from hwbench.machine.identity import Machine
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency
from hwbench.measurements.report import Report
from hwbench.results.profile_results import CandidateResult
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.sampling.closed_loop import Block
from toolchain.candidates.choose import choose

MACHINE = Machine("x86_64", "Some CPU", (), 2, 2**30, "Linux", "3.12")
LIMITS = budget.parse_all(["p90<=10ms", "accuracy_drop<=0.01"])


def entry(
    name: str,
    ms: tuple[float, float] | None,
    size: int,
    outcomes: tuple[str, ...] = ("pass",),
    right: int | None = None,
    **changes,
) -> CandidateResult:
    """A measured candidate whose p50 is the middle of that interval; `right` of its 200 answers are."""
    latency = accuracy = None
    if ms is not None:
        # Each block's own p50 is part of the interval, so constant blocks give its ends.
        each = (ms[0], sum(ms) / 2, ms[1])
        blocks = tuple(Block((int(value * 1e6),) * 80, (), True, 1, 1, 0, None, None) for value in each)
        latency = Latency("single_stream", 1, 1, blocks)
    if right is not None:
        accuracy = Accuracy("top1", True, 200, right / 200, (1.0,) * right + (0.0,) * (200 - right), True)
    artifact = Artifact(Path("m"), "onnxruntime", "fp32", (), (), RuntimeSettings(), "", size, {})
    report = Report("net", "device", artifact, MACHINE, latency, accuracy)
    verdicts = tuple(
        Verdict(limit, outcome, None, f"evidence of {outcome}") for limit, outcome in zip(LIMITS, outcomes)
    )
    reason = changes.pop("reason", "")
    return CandidateResult(name, "fp32", "onnxruntime", "measured", reason, report, verdicts, **changes)


def skipped(name: str) -> CandidateResult:
    return CandidateResult(name, "int8", "onnxruntime", "not built", "it could not be made")


def selected(entries: tuple[CandidateResult, ...]) -> str | None:
    names = [e.name for e in entries if e.status == "selected"]
    assert len(names) <= 1
    return names[0] if names else None


def test_the_fastest_is_chosen():
    result = choose([entry("slow", (5, 6), 1), entry("fast", (1, 2), 100)])
    assert selected(result) == "fast"
    assert result[0].reason == "slower than fast: p50 5.5 against 1.5 ms"
    assert result[1].reason == "the fastest that meets every budget"


def test_of_those_as_fast_the_smallest_is_chosen():
    result = choose([entry("fast", (1, 3), 3_000_000), entry("small", (2, 3), 1_000_000), entry("slow", (3, 4), 1)])
    assert selected(result) == "small"
    assert result[0].reason == "as fast as small, and larger (3 against 1 MB)"
    assert result[2].reason == "slower than fast: p50 3.5 against 2 ms"
    assert result[1].reason == (
        "the best by size of the 2 fastest that meet every budget, whose speeds cannot be told apart"
    )


def test_of_those_as_fast_one_that_is_less_accurate_for_sure_is_not_chosen():
    result = choose([entry("small", (1, 3), 1_000_000, right=180), entry("right", (1, 3), 3_000_000, right=200)])
    assert selected(result) == "right"
    assert result[0].reason == "as fast as right, and less accurate by 0.1"
    assert result[1].reason.startswith("the best by accuracy of the 2 fastest")


def test_a_difference_in_accuracy_that_is_not_sure_says_nothing():
    result = choose([entry("small", (1, 3), 1_000_000, right=199), entry("right", (1, 3), 3_000_000, right=200)])
    assert selected(result) == "small"


def test_a_few_bytes_say_nothing_and_the_simpler_recipe_is_chosen():
    kept = {"recipe": {"keep": ["conv"]}}
    tuned = {"settings": RuntimeSettings(1, {"graph_optimization": "extended"})}
    field = [entry("mixed", (1, 3), 100, **kept), entry("tuned", (1, 3), 100, **tuned), entry("plain", (1, 3), 104)]
    result = choose(field)
    assert selected(result) == "plain"
    assert {e.reason for e in result[:2]} == {"as fast as plain, and no smaller, simpler or more accurate beyond doubt"}
    assert result[2].reason.startswith("the best by simplicity of the 3 fastest")


def test_a_file_that_is_larger_by_more_than_that_is_not_chosen_for_its_simple_recipe():
    mixed, plain = choose([entry("mixed", (1, 3), 100, recipe={"keep": ["conv"]}), entry("plain", (1, 3), 107)])
    assert mixed.status == "chosen"
    assert "larger" in plain.reason


def test_what_nothing_tells_apart_is_the_first_that_was_tried():
    result = choose([entry("a", (1, 3), 100), entry("b", (1, 3), 100)])
    assert result[0].reason.startswith("the first of the 2 fastest")


def test_each_rule_that_decided_is_named():
    field = [
        entry("wrong", (1, 3), 1, right=150),
        entry("large", (1, 3), 9, right=200),
        entry("c", (1, 3), 3, right=200),
    ]
    assert choose(field)[2].reason.startswith("the best by accuracy and size of the 3 fastest")


def test_one_that_breaks_a_budget_is_dropped_however_fast():
    result = choose([entry("wrong", (1, 1), 1, ("pass", "fail")), entry("right", (5, 6), 9)])
    assert selected(result) == "right"
    assert (result[0].status, result[0].reason) == ("rejected", "accuracy_drop<=0.01: evidence of fail")
    assert result[1].reason == "the only one that meets every budget"


def test_none_is_chosen_where_all_break_a_budget():
    result = choose([entry("a", (1, 1), 1, ("fail",)), entry("b", (2, 2), 1, ("inconclusive", "fail"))])
    assert selected(result) is None
    assert [e.status for e in result] == ["rejected", "rejected"]


def test_certainty_goes_before_speed():
    result = choose([entry("unsure", (1, 1), 1, ("inconclusive",)), entry("sure", (5, 6), 9)])
    assert selected(result) == "sure"
    assert result[0].reason == "inconclusive: p90<=10ms: evidence of inconclusive"


def test_where_none_is_sure_the_best_is_chosen_and_says_so():
    result = choose([entry("a", (3, 4), 1, ("inconclusive",)), entry("b", (1, 2), 1, ("inconclusive",))])
    assert selected(result) == "b"
    assert "see the verdicts" in result[1].reason
    assert result[0].status == "eligible"


def test_without_latency_the_smallest_is_chosen():
    result = choose([entry("large", None, 2_000_000), entry("small", None, 1_000_000)])
    assert selected(result) == "small"
    assert result[1].reason == "the smallest that meets the budgets; latency was not measured here"
    assert result[0].reason == "no smaller than small (2 against 1 MB)"


def test_without_latency_the_runtime_that_the_profile_puts_first_is_chosen():
    first, second = (
        dataclasses.replace(entry("a", None, size), runtime=r) for r, size in (("tensorrt", 20), ("b", 10))
    )
    engine, other = choose((first, second))
    assert (engine.status, other.status) == ("selected", "eligible")
    assert other.reason == "latency was not measured here, and the profile puts tensorrt first"


def test_what_was_not_measured_stays_as_it_is():
    assert choose([skipped("int8")]) == (skipped("int8"),)
    assert choose([skipped("int8"), entry("fp32", (1, 1), 1)])[0] == skipped("int8")
    assert choose([]) == ()


_intervals = st.none() | st.tuples(st.integers(1, 9), st.integers(0, 5)).map(lambda pair: (pair[0], sum(pair)))
_outcomes = st.tuples(*[st.sampled_from(["pass", "fail", "inconclusive"])] * 2)
_entries = st.lists(st.tuples(_intervals, st.integers(1, 5), _outcomes) | st.none(), max_size=5).map(
    lambda rows: [skipped(str(i)) if row is None else entry(str(i), *row) for i, row in enumerate(rows)]
)


@given(_entries)
def test_never_chooses_one_that_breaks_a_budget_nor_prefers_doubt_to_certainty(entries):
    result = choose(entries)
    outcomes = {e.name: overall(e.verdicts) for e in entries if e.report is not None}
    winner = selected(result)
    if winner is None:
        assert set(outcomes.values()) <= {"fail"}
    else:
        assert outcomes[winner] == ("pass" if "pass" in outcomes.values() else "inconclusive")
    assert [(e.name, e.report, e.verdicts) for e in result] == [(e.name, e.report, e.verdicts) for e in entries]
    for before, after in zip(entries, result):
        assert after.reason
        if before.report is None:
            assert after is before
        else:
            assert (after.status == "rejected") == (
                outcomes[after.name] == "fail" or outcomes[after.name] != outcomes[winner]
            )


@given(_entries)
def test_nothing_in_the_running_was_shown_to_be_faster_than_the_chosen_one(entries):
    result = choose(entries)
    timed = [e for e in result if e.status in ("selected", "eligible") and e.report.latency is not None]
    winner = next((e for e in timed if e.status == "selected"), None)
    if timed and winner is None:
        pytest.fail("one without latency was chosen before one with it")
    for other in timed:
        assert winner.report.estimate("p50").value <= other.report.estimate("p50").high


def test_a_noisy_candidate_does_not_let_a_slow_one_pass_for_fast():
    result = choose([entry("fast", (4.9, 5.1), 3), entry("noisy", (4, 40), 2), entry("slow", (29, 31), 1)])
    assert selected(result) == "fast"
    assert result[2].reason.startswith("slower than fast: p50 30 against 5")


def test_one_that_was_left_behind_is_not_chosen_since_another_was_disturbed_later():
    field = [entry("fast", (1, 1.3), 3_000_000), entry("small", (1.1, 1.1), 1_000_000, reason="left behind")]
    fast, small = choose(field, {"small"})
    assert (fast.status, small.status, small.reason) == ("selected", "eligible", "left behind")
    assert selected(choose(field)) == "small"  # which only that tells


def test_one_that_was_left_behind_is_chosen_where_no_other_will_do():
    field = [entry("fast", (1, 1), 1, ("fail",)), entry("slow", (2, 2), 1)]
    assert selected(choose(field, {"slow"})) == "slow"
