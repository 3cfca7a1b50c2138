"""Verdicts: a pass only where the whole interval is within the budget."""

from __future__ import annotations

import dataclasses
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verdict_parts import judge_one

from hwbench.budgets.budget import Budget, parse, parse_all
from hwbench.budgets.outcome import EXIT_CODES
from hwbench.budgets.verdicts import Verdict, judge, overall
from hwbench.measurements.accuracy import Accuracy
from hwbench.stats.intervals import Estimate
from runtimes.errors import UsageError

UPPER = ("p50", "p90", "load_time", "accuracy_drop", "peak_memory", "size")
LOWER = ("throughput", "accuracy")


def below(value):
    return math.nextafter(value, -math.inf)


def above(value):
    return math.nextafter(value, math.inf)


@pytest.mark.parametrize("quantity", sorted({*UPPER} - {"accuracy_drop"}))
def test_an_upper_limit_is_met_above_the_interval_and_broken_below_it(make_report, quantity):
    report = make_report()
    figure = report.estimate(quantity)
    assert judge_one(report, Budget("x", quantity, figure.high)).outcome == "pass"
    assert judge_one(report, Budget("x", quantity, below(figure.low))).outcome == "fail"
    if figure.low < figure.high:
        assert judge_one(report, Budget("x", quantity, below(figure.high))).outcome == "inconclusive"
        assert judge_one(report, Budget("x", quantity, figure.low)).outcome == "inconclusive"


def test_a_lower_limit_is_met_below_the_interval_and_broken_above_it(make_report):
    report, quantity = make_report(), "throughput"
    figure = report.estimate(quantity)
    assert judge_one(report, Budget("x", quantity, figure.low)).outcome == "pass"
    assert judge_one(report, Budget("x", quantity, above(figure.high))).outcome == "fail"
    assert judge_one(report, Budget("x", quantity, above(figure.low))).outcome == "inconclusive"
    assert judge_one(report, Budget("x", quantity, figure.high)).outcome == "inconclusive"


class Measured:
    """A report of one figure."""

    accuracy = None

    def __init__(self, figure):
        self.figure = figure

    def estimate(self, quantity):
        return self.figure


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3).map(sorted),
    st.floats(-1e6, 1e6),
    st.sampled_from(UPPER + LOWER),
)
@settings(derandomize=True)
def test_a_verdict_is_what_holds_for_every_value_in_the_interval(bounds, limit, quantity):
    low, value, high = bounds
    verdict = judge_one(Measured(Estimate(value, low, high)), Budget("x", quantity, limit))
    met = [(end <= limit) if quantity in UPPER else (end >= limit) for end in (low, high)]
    assert verdict.outcome == ("pass" if all(met) else "inconclusive" if any(met) else "fail")
    assert verdict.measured == Estimate(value, low, high)


def test_a_figure_that_is_no_number_never_passes():
    nan = float("nan")
    for text in ("p90<=10ms", "throughput>=10/s", "accuracy>=0.5", "accuracy_drop<=0.5"):
        report = Measured(Estimate(nan, nan, nan))
        report.accuracy = Accuracy("auc", True, 10, nan, replicates=(nan, nan))
        report.accuracy = dataclasses.replace(report.accuracy, reference=report.accuracy)
        assert judge_one(report, text).outcome == "inconclusive"


def test_an_inconclusive_latency_asks_for_more_time(make_report):
    report = make_report()
    assert judge_one(report, Budget("x", "p90", report.estimate("p90").value)).reason.endswith("; measure for longer")


@pytest.mark.parametrize(("percent", "needed"), [("p99", 368), ("p99.9", 3688)])
def test_too_few_samples_are_inconclusive_and_say_how_many_it_takes(make_report, make_latency, percent, needed):
    report = make_report(latency=make_latency(median_ms=1, runs=20))
    verdict = judge_one(report, f"{percent}<=1s")
    assert (verdict.outcome, verdict.measured) == ("inconclusive", None)
    assert verdict.reason == f"{percent} takes {needed} samples, and there are 120"


@pytest.mark.parametrize(
    ("text", "changes", "told"),
    [
        ("p90<=1s", {"latency": None}, "latency was not measured"),
        ("p90<=1s", {"latency": None, "unmeasured": {"latency": "no Pi here"}}, "no Pi here"),
        ("throughput>=1/s", {"latency": None}, "latency was not measured"),
        ("load_time<=1s", {"latency": None}, "latency was not measured"),
        ("peak_memory<=9GB", {"latency": None}, "latency was not measured"),
        ("accuracy>=0.1", {"accuracy": None}, "give --evaluation"),
        ("accuracy_drop<=0.9", {"accuracy": None}, "give --evaluation"),
        ("accuracy_drop<=0.9", {"accuracy": Accuracy("top1", True, 2, 1.0, (1.0, 1.0))}, "source model was not scored"),
        ("accuracy>=0.1", {"accuracy": Accuracy("iou", True, 1, 0.9, (0.9,))}, "at least 2 samples"),
        ("p90<=+5%", {"latency": None}, "latency was not measured"),
    ],
)
def test_what_was_not_measured_is_inconclusive_with_the_reason(make_report, text, changes, told):
    verdict = judge_one(make_report(**changes), text, make_report())
    assert (verdict.outcome, verdict.measured) == ("inconclusive", None)
    assert told in verdict.reason


def test_the_reason_is_the_baselines_where_that_was_not_measured(make_report):
    verdict = judge_one(make_report(), "p90<=+5%", make_report(latency=None, unmeasured={"latency": "not then"}))
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "not then")


def test_a_change_is_bounded_by_opposite_ends_of_the_intervals(make_report, make_latency):
    report, baseline = make_report(latency=make_latency(10, seed=1)), make_report(latency=make_latency(12, seed=2))
    ours, theirs = report.estimate("p90"), baseline.estimate("p90")
    verdict = judge_one(report, "p90<=+5%", baseline)
    assert verdict.measured is not None
    assert verdict.measured.value == pytest.approx(ours.value / theirs.value - 1)
    assert verdict.measured.low == pytest.approx(ours.low / theirs.high - 1)
    assert verdict.measured.high == pytest.approx(ours.high / theirs.low - 1)


@pytest.mark.parametrize(
    ("text", "ratio", "outcome"),
    [
        ("p90<=+50%", 1.0, "pass"),
        ("p90<=+0%", 1.0, "inconclusive"),
        ("p90<=+50%", 3.0, "fail"),
        ("p90<=-30%", 0.3, "pass"),
        ("throughput>=-50%", 1.0, "pass"),
        ("throughput>=-50%", 4.0, "fail"),
        ("throughput>=+50%", 0.3, "pass"),
    ],
)
def test_relative_limits_on_latency(make_report, make_latency, text, ratio, outcome):
    report = make_report(latency=make_latency(10 * ratio, seed=1))
    assert judge_one(report, text, make_report(latency=make_latency(10, seed=2))).outcome == outcome


def test_relative_limits_on_size_are_exact(make_report):
    report, baseline = make_report(size_bytes=1050), make_report(size_bytes=1000)
    assert judge_one(report, "size<=+6%", baseline).outcome == "pass"
    assert judge_one(report, "size<=+4%", baseline).outcome == "fail"


@pytest.mark.parametrize(("ours", "theirs"), [(50, 0), (0, 0)])
def test_a_change_from_zero_is_inconclusive(make_report, ours, theirs):
    verdict = judge_one(make_report(right=ours), "accuracy>=-50%", make_report(right=theirs))
    assert verdict.outcome == "inconclusive"
    assert "reaches zero" in verdict.reason


def test_a_change_of_a_metric_below_zero_is_inconclusive(make_report):
    loss = Accuracy("r2", True, 3, -2.0, scores=(-1.0, -2.0, -3.0))
    verdict = judge_one(make_report(accuracy=loss), "accuracy>=-5%", make_report(accuracy=loss))
    assert verdict.outcome == "inconclusive"


def test_a_change_takes_a_baseline(make_report):
    with pytest.raises(UsageError, match=re.escape("'p90<=+5%' compares with a baseline; give one with --baseline")):
        judge(make_report(), parse_all(["p90<=1s", "p90<=+5%"]))


def verdict_of(outcome):
    return Verdict(parse("p90<=1s"), outcome, None, "")


@pytest.mark.parametrize(
    ("outcomes", "worst", "code"),
    [
        (["pass", "pass"], "pass", 0),
        (["pass", "fail", "pass"], "fail", 1),
        (["inconclusive", "fail"], "fail", 1),
        (["pass", "inconclusive", "pass"], "inconclusive", 3),
    ],
)
def test_the_worst_verdict_counts(outcomes, worst, code):
    assert overall([verdict_of(outcome) for outcome in outcomes]) == worst
    assert EXIT_CODES[overall([verdict_of(outcome) for outcome in outcomes])] == code
