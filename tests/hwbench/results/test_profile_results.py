"""report.json there and back, outcomes, and the Pareto front."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.budgets.budget import Budget, parse, parse_all
from hwbench.budgets.verdicts import Verdict, judge
from hwbench.machine.identity import Machine
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency
from hwbench.measurements.report import Report
from hwbench.results import profile_results
from hwbench.results.profile_results import (
    SCHEMA_VERSION,
    CandidateResult,
    ProfileResult,
    Results,
    from_json,
    pareto,
    to_json,
)
from hwbench.stats.intervals import Estimate
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.errors import UsageError
from runtimes.sampling.closed_loop import Block
from runtimes.tensors import TensorSpec

text, number, whole = st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 2**60)
texts = st.dictionaries(text, text, max_size=2)
paths = st.lists(st.sampled_from(["a", "b c", "d.onnx"]), min_size=1, max_size=3).map(lambda parts: Path(*parts))


def tuples(strategy, least=0):
    return st.lists(strategy, min_size=least, max_size=2).map(tuple)


# Values that a manifest refuses are runtimes' own to test.
ARTIFACT = Artifact(
    file=Path("artifact/model.onnx"),
    runtime="onnxruntime",
    precision="int8",
    inputs=(TensorSpec("image", "float32", ("N", 3, 8, "W")),),
    outputs=(TensorSpec("logits", "float32", ("N", 10)), TensorSpec("count", "int64", ())),
    settings=RuntimeSettings(threads=2, options={"spinning": "0"}),
    source_sha256="9f86",
    size_bytes=4_000_000,
    tool_versions={"onnx": "1.20"},
)
machines = st.builds(
    Machine,
    arch=text,
    cpu=text,
    isa=tuples(text),
    cores=whole,
    memory_bytes=whole,
    system=text,
    python=text,
    caches_bytes=st.dictionaries(text, whole, max_size=2),
    governor=st.none() | text,
    hypervisor=st.none() | text,
    board=st.none() | text,
    gpus=tuples(text),
)
blocks = st.builds(
    Block,
    samples_ns=tuples(whole, 1),
    warmup_ns=tuples(whole),
    settled=st.booleans(),
    load_ns=whole,
    cpu_ns=whole,
    preemptions=whole,
    idle_memory_bytes=st.none() | whole,
    peak_memory_bytes=st.none() | whole,
)
latencies = st.builds(Latency, scenario=st.just("single_stream"), batch=whole, threads=whole, blocks=tuples(blocks, 1))
plain_accuracies = st.builds(
    Accuracy,
    metric=text,
    higher_is_better=st.booleans(),
    n=whole,
    value=number,
    replicates=tuples(number),
    reference=st.none(),
    is_source=st.booleans(),
) | tuples(number).map(lambda scores: Accuracy("mine", True, len(scores), 0.5, scores=scores))
accuracies = st.builds(
    lambda own, reference: dataclasses.replace(own, reference=reference), plain_accuracies, st.none() | plain_accuracies
)
reports = st.builds(
    Report,
    model=text,
    profile=text,
    artifact=st.just(ARTIFACT),
    machine=machines,
    latency=st.none() | latencies,
    accuracy=st.none() | accuracies,
    unmeasured=texts,
)
budgets = st.builds(
    Budget, text=text, quantity=st.sampled_from(["p99", "accuracy"]), limit=number, relative=st.booleans()
)
verdicts = st.builds(
    Verdict,
    budget=budgets,
    outcome=st.sampled_from(["pass", "fail", "inconclusive"]),
    measured=st.none() | st.builds(Estimate, value=number, low=number, high=number),
    reason=text,
)
entries = st.builds(
    CandidateResult,
    name=text,
    precision=text,
    runtime=text,
    status=st.sampled_from(["selected", "eligible", "rejected", "not built", "measured"]),
    reason=text,
    report=st.none() | reports,
    verdicts=tuples(verdicts),
)
fields = st.builds(
    ProfileResult,
    model=text,
    profile=text,
    budgets=tuples(budgets),
    candidates=tuples(entries),
    caveats=tuples(text),
    bundle=st.none() | paths,
)


@given(tuples(fields).map(profile_results.of))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_results_are_the_same_after_json(results):
    text = to_json(results)
    assert from_json(text, "report.json") == results
    assert from_json(text.encode(), "report.json") == results
    assert to_json(from_json(text, "report.json")) == text


def test_a_report_without_latency_comes_back(make_report):
    report = make_report(latency=None)
    verdicts = judge(report, [parse("p90<=1s")])
    assert verdicts[0].measured is None
    results = profile_results.of(
        [ProfileResult("m", "p", (), (CandidateResult("int8", "int8", "r", "selected", "", report, verdicts),))]
    )
    assert from_json(to_json(results), "report.json") == results


def test_report_json_is_strict_json_with_its_version(make_report):
    def refuse(constant):
        raise AssertionError(constant)

    results = profile_results.of(
        [ProfileResult("m", "p", (), (CandidateResult("int8", "int8", "r", "measured", "", make_report()),))]
    )
    data = json.loads(to_json(results), parse_constant=refuse)
    assert data["schema_version"] == SCHEMA_VERSION
    assert len(data["profiles"][0]["candidates"][0]["report"]["latency"]["blocks"][0]["samples_ns"]) == 60


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1, "1", None])
def test_another_schema_version_is_refused(version):
    text = json.dumps({"schema_version": version, "profiles": []})
    told = f"'old.json' follows report schema {version!r}; this release of edgewright reads {SCHEMA_VERSION}"
    with pytest.raises(UsageError, match=re.escape(told)):
        from_json(text, "old.json")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "is not a report", id="empty"),
        pytest.param('{"schema_version": 2, "fiel', "is not a report", id="cut"),
        pytest.param(b"\xff\xfe\x00", "is not a report", id="bytes"),
        pytest.param("[" * 200_000, "is not a report", id="deep"),
        pytest.param("[]", "report schema None", id="a-list"),
        pytest.param("3", "report schema None", id="a-number"),
        pytest.param('{"schema_version": 2}', "'profiles' is missing", id="no-profiles"),
        pytest.param('{"schema_version": 2, "profiles": {}}', "'profiles' should be a list", id="profiles-no-list"),
        pytest.param('{"schema_version": 2, "profiles": [], "x": 1}', "unknown key 'x'", id="unknown-key"),
    ],
)
def test_what_is_no_report_is_refused(text, told):
    with pytest.raises(UsageError) as caught:
        from_json(text, "r.json")
    assert "r.json" in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("status", "best", "'profiles[0].candidates[0].status' should be one of selected, eligible"),
        (
            "report.artifact.size_bytes",
            "big",
            "'profiles[0].candidates[0].report.artifact.size_bytes' should be an integer",
        ),
        ("report.latency.blocks", [], "'profiles[0].candidates[0].report.latency' has no block"),
        ("verdicts.0.budget.quantity", "speed", "'profiles[0].candidates[0].verdicts[0].budget' limits 'speed'"),
    ],
)
def test_a_wrong_value_is_told_its_key(make_report, key, value, told):
    report = make_report()
    entry = CandidateResult("int8", "int8", "r", "measured", "", report, judge(report, parse_all(["p90<=1s"])))
    data = json.loads(to_json(profile_results.of([ProfileResult("m", "p", (), (entry,))])))
    *parents, last = key.split(".")
    place = data["profiles"][0]["candidates"][0]
    for parent in parents:
        place = place[int(parent) if parent.isdigit() else parent]
    place[last] = value
    with pytest.raises(UsageError, match=re.escape(told)):
        from_json(json.dumps(data), "r.json")


@pytest.fixture
def entry_of(make_report, make_block):
    """An entry by its p50 in ms (None: without latency) and how many of 100 samples it gets right."""

    def make(name, p50=None, right=97, status="eligible", outcomes=("pass",), measured=True, **changes):
        if p50 is not None:
            changes["latency"] = Latency("single_stream", 1, 1, (make_block([p50] * 6),))
        report = make_report(right=right, **{"latency": None, **changes}) if measured else None
        given = tuple(Verdict(parse("p90<=1s"), outcome, None, "") for outcome in outcomes)
        return CandidateResult(name, name, "onnxruntime", status, "", report, given)

    return make


def names(entries):
    return [entry.name for entry in entries]


def test_the_front_holds_what_nothing_beats_fastest_first(entry_of):
    candidates = [
        entry_of("slow-and-good", 9, 99),
        entry_of("slower-and-worse", 10, 98),
        entry_of("fast-and-bad", 1, 80),
        entry_of("as-fast-and-worse", 1, 79),
        entry_of("between", 5, 90),
        entry_of("as-good-and-slower", 6, 90),
    ]
    assert names(pareto(candidates)) == ["fast-and-bad", "between", "slow-and-good"]


def test_equals_stand_on_the_front_together(entry_of):
    assert names(pareto([entry_of("a", 1, 90), entry_of("b", 1, 90)])) == ["a", "b"]


def test_entries_without_figures_are_not_on_the_front(entry_of):
    candidates = [
        entry_of("never-run", measured=False),
        entry_of("untimed", None, 100),
        entry_of("unscored", 0.1, accuracy=None),
        entry_of("whole", 5, 50),
    ]
    assert names(pareto(candidates)) == ["whole"]
    assert names(pareto(candidates, latency="p99")) == []  # six samples are too few


def test_less_is_better_of_some_metrics(entry_of):
    errors = [Accuracy("wer", False, 2, value, scores=(value, value)) for value in (0.1, 0.3)]
    candidates = [entry_of("good", 5, accuracy=errors[0]), entry_of("bad", 6, accuracy=errors[1])]
    assert names(pareto(candidates)) == ["good"]


@given(st.lists(st.tuples(st.none() | st.integers(1, 6), st.integers(90, 96)), max_size=12))
@settings(derandomize=True, deadline=None)
def test_no_member_is_beaten_and_every_other_is(given_figures):
    made = [_entry(index, *figures) for index, figures in enumerate(given_figures)]
    front = pareto(made)
    timed = [(figures, entry) for figures, entry in zip(given_figures, made) if figures[0] is not None]
    for figures, entry in timed:
        beaten = any(other[0] <= figures[0] and other[1] >= figures[1] and other != figures for other, _ in timed)
        assert (entry in front) == (not beaten)
    assert {entry.name for entry in front} <= {entry.name for _, entry in timed}
    assert [entry.report.estimate("p50").value for entry in front if entry.report] == sorted(
        entry.report.estimate("p50").value for entry in front if entry.report
    )


def _entry(index, p50, right):
    """As `entry_of`, which Hypothesis would not renew from example to example."""
    block = Block((int((p50 or 1) * 1e6),) * 6, (), True, 1, 1, 0, None, None)
    report = Report(
        model="m",
        profile="p",
        artifact=ARTIFACT,
        machine=Machine("x86_64", "cpu", (), 1, 1, "Linux", "3"),
        latency=None if p50 is None else Latency("single_stream", 1, 1, (block,)),
        accuracy=Accuracy("top1", True, 100, right / 100, scores=(1.0,) * right + (0.0,) * (100 - right)),
    )
    return CandidateResult(str(index), "p", "r", "eligible", "", report)


def field_of(*entries):
    return ProfileResult("m", "p", (), entries)


def test_an_entry_that_was_never_measured_is_inconclusive(entry_of):
    assert entry_of("not built", measured=False, outcomes=()).outcome == "inconclusive"
    assert entry_of("a", outcomes=("pass", "fail")).outcome == "fail"
    assert entry_of("a", outcomes=("pass", "inconclusive")).outcome == "inconclusive"


def test_a_fields_outcome_is_its_chosen_candidates(entry_of):
    broken = entry_of("a", status="rejected", outcomes=("fail",))
    selected = entry_of("b", status="selected", outcomes=("inconclusive",))
    assert field_of(broken, selected).selected == selected
    assert field_of(broken, selected).outcome == "inconclusive"
    assert field_of(broken, entry_of("c", status="selected")).outcome == "pass"


def test_a_field_without_a_choice_fails_only_where_every_candidate_broke_a_budget(entry_of):
    broken = entry_of("a", status="rejected", outcomes=("fail",))
    skipped = entry_of("b", status="not built", measured=False)
    unsure = entry_of("c", status="rejected", outcomes=("inconclusive",))
    assert field_of(broken, skipped).selected is None
    assert field_of(broken, skipped).outcome == "fail"
    assert field_of(broken, unsure).outcome == "inconclusive"
    assert field_of(skipped).outcome == "inconclusive"
    assert field_of().outcome == "inconclusive"


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        (["pass", "pass"], "pass"),
        (["pass", "inconclusive"], "inconclusive"),
        (["inconclusive", "fail", "pass"], "fail"),
    ],
)
def test_the_worst_field_counts(entry_of, outcomes, worst):
    made = [field_of(entry_of("a", status="selected", outcomes=(outcome,))) for outcome in outcomes]
    assert profile_results.of(made) == Results(SCHEMA_VERSION, tuple(made))
    assert profile_results.of(made).outcome == worst


def test_no_field_at_all_is_no_pass():
    assert profile_results.of([]).outcome == "inconclusive"
