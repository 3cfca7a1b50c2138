"""Choosing the candidate to pack, and what is said of the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.budgets import budget
from hwbench.budgets.samples_needed import SamplesNeeded
from hwbench.budgets.verdicts import Verdict
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.sampling.closed_loop import Block
from toolchain.candidates.candidate import Candidate
from toolchain.recipes.recipe import Recipe
from toolchain.search.choose import Decision, JudgedTrial, choose, find_unsettled
from toolchain.search.trials import Trial

LIMITS = budget.parse_all(["p90<=10ms", "accuracy_drop<=0.01"])


@dataclass(frozen=True)
class Named(Candidate):
    """A candidate of a name of our own."""

    called: str = ""

    @property
    def name(self) -> str:
        return self.called


def judged(
    name: str,
    ms: tuple[float, float] | None,
    size: int,
    outcomes: tuple[str, ...] = ("pass",),
    right: int | None = None,
    *,
    runtime: str = "onnxruntime",
    keep: tuple[str, ...] = (),
    options: dict[str, str] | None = None,
    behind: str | None = None,
) -> JudgedTrial:
    """A measured candidate whose p50 is the middle of that interval; `right` of its 200 answers are."""
    latency = accuracy = None
    if ms is not None:
        # Each block's own p50 is part of the interval, so constant blocks give its ends.
        each = (ms[0], sum(ms) / 2, ms[1])
        blocks = tuple(Block((int(value * 1e6),) * 80, (), True, 1, 1, 0, None, None) for value in each)
        latency = Latency("single_stream", 1, 1, blocks)
    if right is not None:
        accuracy = Accuracy("top1", True, 200, right / 200, (1.0,) * right + (0.0,) * (200 - right), True)
    settings = RuntimeSettings(1, options or {})
    candidate = Named(Recipe("fp32", keep=keep), runtime, settings, called=name)
    artifact = Artifact(Path("m"), runtime, "fp32", (), (), settings, "", size, {})
    verdicts = tuple(
        Verdict(limit, outcome, None, f"evidence of {outcome}") for limit, outcome in zip(LIMITS, outcomes)
    )
    trial = Trial(candidate, artifact=artifact, latency=latency, accuracy=accuracy, behind=behind)
    return JudgedTrial(trial, verdicts)


def decide(trials: Sequence[JudgedTrial]) -> list[Decision]:
    """The decisions in the trials' order."""
    found = choose(trials)
    assert list(found) == [one.name for one in trials]
    return list(found.values())


def selected(trials: Sequence[JudgedTrial]) -> str | None:
    names = [name for name, decision in choose(trials).items() if decision.is_selected]
    assert len(names) <= 1
    return names[0] if names else None


def test_the_fastest_is_chosen():
    result = decide(field := [judged("slow", (5, 6), 1), judged("fast", (1, 2), 100)])
    assert selected(field) == "fast"
    assert result[0].reason == "slower than fast: p50 5.5 against 1.5 ms"
    assert result[1].reason == "the fastest that meets every budget"


def test_of_those_as_fast_the_smallest_is_chosen():
    result = decide(
        field := [judged("fast", (1, 3), 3_000_000), judged("small", (2, 3), 1_000_000), judged("slow", (3, 4), 1)]
    )
    assert selected(field) == "small"
    assert result[0].reason == "as fast as small, and larger (3 against 1 MB)"
    assert result[2].reason == "slower than fast: p50 3.5 against 2 ms"
    assert result[1].reason == (
        "the best by size of the 2 fastest that meet every budget, whose speeds cannot be told apart"
    )


def test_of_those_as_fast_one_that_is_less_accurate_for_sure_is_not_chosen():
    field = [judged("small", (1, 3), 1_000_000, right=180), judged("right", (1, 3), 3_000_000, right=200)]
    result = decide(field)
    assert selected(field) == "right"
    assert result[0].reason == "as fast as right, and less accurate by 0.1"
    assert result[1].reason.startswith("the best by accuracy of the 2 fastest")


def test_a_difference_in_accuracy_that_is_not_sure_says_nothing():
    field = [judged("small", (1, 3), 1_000_000, right=199), judged("right", (1, 3), 3_000_000, right=200)]
    assert selected(field) == "small"


def test_a_few_bytes_say_nothing_and_the_simpler_recipe_is_chosen():
    kept = {"keep": ("conv",)}
    tuned = {"options": {"graph_optimization": "extended"}}
    field = [judged("mixed", (1, 3), 100, **kept), judged("tuned", (1, 3), 100, **tuned), judged("plain", (1, 3), 104)]
    result = decide(field)
    assert selected(field) == "plain"
    assert {e.reason for e in result[:2]} == {"as fast as plain, and not clearly smaller, simpler or more accurate"}
    assert result[2].reason.startswith("the best by simplicity of the 3 fastest")


def test_what_nothing_tells_apart_is_the_first_that_was_tried():
    result = decide(_field := [judged("a", (1, 3), 100), judged("b", (1, 3), 100)])
    assert result[0].reason.startswith("the first of the 2 fastest")


def test_each_rule_that_decided_is_named():
    field = [
        judged("wrong", (1, 3), 1, right=150),
        judged("large", (1, 3), 9, right=200),
        judged("c", (1, 3), 3, right=200),
    ]
    assert decide(field)[2].reason.startswith("the best by accuracy and size of the 3 fastest")


def test_one_that_breaks_a_budget_is_dropped_however_fast():
    result = decide(field := [judged("wrong", (1, 1), 1, ("pass", "fail")), judged("right", (5, 6), 9)])
    assert selected(field) == "right"
    assert (result[0].status, result[0].reason) == ("rejected", "accuracy_drop<=0.01: evidence of fail")
    assert result[1].reason == "the only one that meets every budget"


def test_none_is_chosen_where_all_break_a_budget():
    result = decide(field := [judged("a", (1, 1), 1, ("fail",)), judged("b", (2, 2), 1, ("inconclusive", "fail"))])
    assert selected(field) is None
    assert [e.status for e in result] == ["rejected", "rejected"]


def test_certainty_goes_before_speed():
    result = decide(field := [judged("unsure", (1, 1), 1, ("inconclusive",)), judged("sure", (5, 6), 9)])
    assert selected(field) == "sure"
    assert result[0].reason == "inconclusive: p90<=10ms: evidence of inconclusive"


def test_where_none_is_sure_the_best_is_chosen_and_says_so():
    result = decide(field := [judged("a", (3, 4), 1, ("inconclusive",)), judged("b", (1, 2), 1, ("inconclusive",))])
    assert selected(field) == "b"
    assert "the verdicts show" in result[1].reason
    assert result[0].status == "eligible"


def test_without_latency_the_smallest_is_chosen():
    result = decide(field := [judged("large", None, 2_000_000), judged("small", None, 1_000_000)])
    assert selected(field) == "small"
    assert result[1].reason == "the smallest that meets the budgets; latency was not measured on this machine"
    assert result[0].reason == "no smaller than small (2 against 1 MB)"


def test_without_latency_the_runtime_that_the_profile_puts_first_is_chosen():
    engine, other = decide([judged("a", None, 20, runtime="tensorrt"), judged("b", None, 10, runtime="other")])
    assert (engine.status, other.status) == ("selected", "eligible")
    assert other.reason == "latency was not measured on this machine, and the profile lists tensorrt first"


def test_of_nothing_nothing_is_chosen():
    assert choose([]) == {}


_intervals = st.none() | st.tuples(st.integers(1, 9), st.integers(0, 5)).map(lambda pair: (pair[0], sum(pair)))
_outcomes = st.tuples(*[st.sampled_from(["pass", "fail", "inconclusive"])] * 2)
_fields = st.lists(st.tuples(_intervals, st.integers(1, 5), _outcomes), max_size=5).map(
    lambda rows: [judged(str(i), *row) for i, row in enumerate(rows)]
)


@given(_fields)
def test_never_chooses_one_that_breaks_a_budget_nor_prefers_doubt_to_certainty(field):
    outcomes = {one.name: one.outcome for one in field}
    winner = selected(field)
    if winner is None:
        assert set(outcomes.values()) <= {"fail"}
    else:
        assert outcomes[winner] == ("pass" if "pass" in outcomes.values() else "inconclusive")
    for one, decision in zip(field, decide(field)):
        assert decision.reason
        assert (decision.status == "rejected") == (one.outcome == "fail" or one.outcome != outcomes[winner])


@given(_fields)
def test_nothing_in_the_running_was_shown_to_be_faster_than_the_chosen_one(field):
    running = [(one, decision) for one, decision in zip(field, decide(field)) if decision.status != "rejected"]
    timed = [(one.speed, decision) for one, decision in running if one.speed is not None]
    winner = next((speed for speed, decision in timed if decision.is_selected), None)
    if timed and winner is None:
        pytest.fail("one without latency was chosen before one with it")
    for other, _ in timed:
        assert winner.value <= other.high


def test_a_noisy_candidate_does_not_let_a_slow_one_pass_for_fast():
    result = decide(field := [judged("fast", (4.9, 5.1), 3), judged("noisy", (4, 40), 2), judged("slow", (29, 31), 1)])
    assert selected(field) == "fast"
    assert result[2].reason.startswith("slower than fast: p50 30 against 5")


def test_one_that_was_left_behind_is_not_chosen_since_another_was_disturbed_later():
    fast = judged("fast", (1, 1.3), 3_000_000)
    field = [fast, judged("small", (1.1, 1.1), 1_000_000, behind="left behind")]
    assert decide(field)[0].is_selected
    assert decide(field)[1] == Decision("eligible", "")  # the trial itself says why
    assert selected([fast, judged("small", (1.1, 1.1), 1_000_000)]) == "small"  # which only that tells


def test_one_that_was_left_behind_is_chosen_where_no_other_will_do():
    assert selected([judged("fast", (1, 1), 1, ("fail",)), judged("slow", (2, 2), 1, behind="left behind")]) == "slow"


def open_to(name: str, ms: float, probability: float, outcome: str = "inconclusive") -> JudgedTrial:
    """A candidate that meets its budget on latency, and on accuracy with this probability."""
    timed, accuracy = LIMITS
    needed = SamplesNeeded(320)
    verdicts = (
        Verdict(timed, "pass", None, ""),
        Verdict(accuracy, outcome, None, "", probability=probability, needed=needed),
    )
    return JudgedTrial(judged(name, (ms, ms), 1).trial, verdicts)


def unsettled(*trials: JudgedTrial):
    return find_unsettled(trials, choose(trials), 0.95)


def test_what_is_faster_and_probably_within_budget_is_left_open():
    found = unsettled(judged("source", (2, 2), 1, ("pass", "pass")), open_to("int8", 1.25, 0.9487))
    assert (found.candidate, found.better, found.budget) == ("int8", "1.6x faster", "accuracy_drop<=0.01")
    assert (found.probability, found.asked, found.settled_at) == (0.9487, 0.95, 0.94)
    assert found.needed == SamplesNeeded(320)
    assert found.sentence.startswith("int8 is 1.6x faster than what was selected, and probably within accuracy_drop")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(open_to("int8", 1.99, 0.94), id="hardly-faster"),
        pytest.param(open_to("int8", 1, 0.4), id="improbable"),
        pytest.param(open_to("int8", 1, 0.0, "fail"), id="broken"),
        pytest.param(judged("int8", (1, 1), 1, ("inconclusive", "pass")), id="a-doubtful-latency"),
    ],
)
def test_nothing_is_left_open_for_what_more_samples_would_not_select(other):
    assert unsettled(judged("source", (2, 2), 1, ("pass", "pass")), other) is None


def test_of_several_the_fastest_is_named_and_where_none_was_timed_the_smallest():
    source = judged("source", (2, 2), 1, ("pass", "pass"))
    assert unsettled(source, open_to("a", 1.5, 0.9), open_to("b", 1, 0.6)).candidate == "b"
    untimed = dataclasses.replace(open_to("int8", 1, 0.9).trial, latency=None)
    found = unsettled(
        judged("source", None, 4, ("pass", "pass")), JudgedTrial(untimed, open_to("int8", 1, 0.9).verdicts)
    )
    assert found.better == "4x smaller"


def brief(name: str, ms: float, size: int) -> JudgedTrial:
    """A candidate that was measured too briefly for an interval."""
    made = judged(name, None, size)
    block = Block((int(ms * 1e6),) * 3, (), True, 1, 1, 0, None, None)
    return dataclasses.replace(made, trial=dataclasses.replace(made.trial, blocks=(block,)))


def test_where_measurements_are_too_short_for_intervals_screening_decides():
    assert selected([brief("slow", 20, 1), brief("fast", 10, 4), judged("unmeasured", None, 1)]) == "fast"
    slow, fast, unmeasured = decide([brief("slow", 20, 1), brief("fast", 10, 4), judged("unmeasured", None, 1)])
    assert "measured too briefly" in fast.reason
    assert "p50 20 against 10 ms" in slow.reason
    assert "not measured" in unmeasured.reason


def test_a_few_permille_choose_no_larger_file():
    small, large = judged("small", (10.02, 10.04), 1), judged("large", (9.99, 10.01), 2)
    assert selected([large, small]) == "small"
    assert selected([judged("large", (9.0, 9.01), 2), small]) == "large"
