"""Verdicts: a pass only where the whole interval is within the budget."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.budgets import verdicts
from hwbench.budgets.budget import Budget, parse, parse_all
from hwbench.budgets.samples_needed import SamplesNeeded
from hwbench.budgets.verdicts import EXIT_CODES, Verdict, judge, overall
from hwbench.measurements.accuracy import Accuracy, joined
from hwbench.stats.intervals import Estimate
from hwbench.stats.paired_proportions import Flips
from runtimes.errors import UsageError

UPPER = ("p50", "p90", "load_time", "accuracy_drop", "peak_memory", "size")
LOWER = ("throughput", "accuracy")


def below(value):
    return math.nextafter(value, -math.inf)


def above(value):
    return math.nextafter(value, math.inf)


def judge_one(report, limit, baseline=None):
    (verdict,) = judge(report, [limit if isinstance(limit, Budget) else parse(limit)], baseline)
    return verdict


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


@pytest.mark.parametrize("confidence", [0.6, 0.95, 0.999])
def test_a_budget_on_accuracy_holds_if_it_is_as_probable_as_was_asked(make_report, confidence):
    report = make_report(right=90)
    drop, limits = report.accuracy.drop_inference(), np.linspace(-0.1, 0.3, 41)
    outcomes = []
    for limit in limits:
        (verdict,) = judge(report, [Budget("x", "accuracy_drop", limit)], confidence=confidence)
        expected = "pass" if drop.at_most(limit) >= confidence else "inconclusive"
        expected = "fail" if limit < 0.08 and drop.at_least(limit) >= confidence else expected
        assert verdict.outcome == expected
        assert (verdict.probability >= confidence) is (verdict.outcome == "pass")
        assert (verdict.probability <= 1 - confidence) or verdict.outcome != "fail"
        outcomes.append(verdict.outcome)
    assert outcomes == sorted(outcomes, key=["fail", "inconclusive", "pass"].index)


def test_a_lower_limit_on_accuracy_mirrors_an_upper_one(make_report):
    met, broken = (judge_one(make_report(), f"accuracy>={limit}") for limit in (0.9, 0.999))
    assert (met.outcome, broken.outcome) == ("pass", "fail")
    assert met.probability > 0.95 > 0.05 > broken.probability
    assert met.reason.endswith("is at least 0.9000 with probability 0.992")


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


def same_as_source(n, **changes):
    """A candidate that is right on all samples, as its source is."""
    right = Accuracy("top1", True, n, 1.0, scores=(1.0,) * n, proportion=True)
    return dataclasses.replace(right, reference=right, **changes)


def test_an_open_verdict_says_its_probability_and_what_would_settle_it(make_report):
    # 0.999 ** n <= 0.05 takes n = 2,995; a tenth is added.
    reason = judge_one(make_report(accuracy=same_as_source(900)), "accuracy_drop<=0.001").reason
    assert reason.endswith(
        "is within 0.0010 with probability 0.59, and 0.95 is asked; about 2,400 more samples would settle it, with "
        "labels or without (--unlabelled)"
    )
    # With enough labelled samples to show anything, the flips pay with a fifth of the error: 0.99 ** n <= 0.002.
    (verdict,) = judge(make_report(accuracy=same_as_source(300)), [parse("accuracy_drop<=0.01")], confidence=0.99)
    assert verdict.needed == SamplesNeeded(210, 390)
    assert verdict.reason.endswith("about 210 more samples would settle it, or 390 more without labels (--unlabelled)")


def test_where_the_figure_is_beyond_the_limit_no_number_of_samples_is_promised(make_report):
    verdict = judge_one(make_report(right=95), "accuracy_drop<=0.01")
    assert verdict.outcome == "inconclusive"
    assert verdict.needed == SamplesNeeded()
    assert verdict.reason.endswith("and 0.95 is asked; 100 samples cannot decide")


def test_samples_without_labels_make_an_open_verdict_a_pass(make_report):
    flips = make_report(accuracy=same_as_source(100, flips=Flips(2_000, 4)))
    assert judge_one(make_report(accuracy=same_as_source(100)), "accuracy_drop<=0.01").outcome == "inconclusive"
    assert judge_one(flips, "accuracy_drop<=0.01").outcome == "pass"


def test_of_the_source_nothing_is_estimated(make_report):
    verdict = judge_one(make_report(accuracy=same_as_source(3, is_source=True)), "accuracy_drop<=0.01")
    assert (verdict.outcome, verdict.probability) == ("pass", 1)
    assert verdict.reason == "accuracy_drop 0.0000 against the source is within 0.0100: it is the source"


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (0.5, "0.5"),
        (0.946, "0.94"),
        (0.9899, "0.98"),
        (0.9956, "0.995"),
        (0.99987, "0.9998"),
        (0.99999, "above 0.9999"),
    ],
)
def test_a_probability_is_rounded_down_to_as_many_digits_as_tell_it_from_one(probability, text):
    assert verdicts.probability_text(probability) == text


def test_an_inconclusive_latency_asks_for_more_time(make_report):
    report = make_report()
    assert judge_one(report, Budget("x", "p90", report.estimate("p90").value)).reason.endswith("; measure for longer")


def test_the_reason_holds_the_figure_its_interval_and_the_limit(make_report):
    report = make_report(right=50)
    reason = judge_one(report, "accuracy>=0.97").reason
    assert re.fullmatch(
        r"accuracy 0\.5000 \(0\.4038 to 0\.5962, 95% confidence\) is below 0\.9700 with probability above 0\.9999",
        reason,
    )
    assert judge_one(report, "accuracy>=0.3").reason.endswith("is at least 0.3000 with probability above 0.9999")
    assert judge_one(report, "accuracy>=0.5").reason.endswith(
        "is at least 0.5000 with probability 0.46, and 0.95 is asked; 100 samples cannot decide"
    )
    # The standard error is .05, and so is the room: 1.645 ** 2 of 100 samples, and a tenth more.
    assert judge_one(report, "accuracy>=0.45").reason.endswith("about 190 more samples would settle it")


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


def test_a_metric_of_which_less_is_better_is_not_judged_by_a_lower_limit(make_report):
    errors = Accuracy("wer", False, 100, 0.99, scores=(1.0,) * 99 + (0.0,))
    with pytest.raises(UsageError, match=r"a lower wer is better, so write accuracy<=0\.5"):
        judge_one(make_report(accuracy=errors), "accuracy>=0.5")
    assert judge_one(make_report(accuracy=errors), "accuracy<=1.1").outcome == "pass"
    assert judge_one(make_report(accuracy=errors), "accuracy<=0.5").outcome == "fail"


def test_a_metric_of_which_more_is_better_is_not_judged_by_an_upper_limit(make_report):
    with pytest.raises(UsageError, match=r"a higher top1 is better, so write accuracy>=0\.99"):
        judge_one(make_report(), "accuracy<=0.99")
    with pytest.raises(UsageError, match=r"a higher top1 is better, so write accuracy>=\+1%"):
        judge_one(make_report(), "accuracy<=+1%", make_report())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("accuracy>=97", "Budget 'accuracy>=97': top1 ranges from 0 to 1; write accuracy>=0.97."),
        ("accuracy>=1000", "top1 ranges from 0 to 1; give a limit in that range."),
        ("accuracy>=-0.5", "top1 ranges from 0 to 1; give a limit in that range."),
        ("accuracy_drop<=2", "Budget 'accuracy_drop<=2': top1 ranges from 0 to 1; write accuracy_drop<=0.02."),
    ],
)
def test_a_limit_beyond_what_the_metric_can_be_is_refused(make_report, text, words):
    with pytest.raises(UsageError, match=re.escape(words)):
        judge_one(make_report(), text)


def test_limits_at_the_bounds_and_of_metrics_without_any_are_judged(make_report):
    assert judge_one(make_report(), "accuracy_drop<=1").outcome == "pass"
    assert judge_one(make_report(), "accuracy>=0").outcome == "pass"
    decibels = Accuracy("psnr", True, 2, 31.0, scores=(30.0, 32.0))
    assert judge_one(make_report(accuracy=decibels), "accuracy>=97").outcome == "fail"


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


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("p90<=1ms", 1.2345, "1.23 ms"),
        ("p90<=1ms", 0.00123, "0.00123 ms"),
        ("load_time<=1s", 1234.5, "1,234 ms"),
        ("size<=5MB", 3_620_000, "3.62 MB"),
        ("throughput>=100/s", 12345.6, "12,346/s"),
        ("throughput>=1/s", 0.4321, "0.432/s"),
        ("accuracy>=0.97", 0.97654, "0.9765"),
        ("accuracy_drop<=0.01", -0.002, "-0.0020"),
        ("p90<=+5%", 0.0512, "+5.1%"),
        ("size<=-5%", -0.0512, "-5.1%"),
    ],
)
def test_figures_are_shown_in_the_budgets_unit(text, value, shown):
    assert verdicts.show(value, parse(text)) == shown


def ages(value, source=None, metric="mae"):
    """A mean absolute error near `value`, beside that of the source."""
    reference = ages(source, metric=metric) if source is not None else None
    scores = tuple(value + step / 1e3 for step in range(-20, 21))
    return Accuracy(metric, False, 41, value, scores=scores, reference=reference)


def test_a_drop_may_be_limited_by_a_share_of_the_sources_value(make_report):
    report = make_report(accuracy=ages(50.2, 49.8))
    within, beyond = judge_one(report, "accuracy_drop<=1%"), judge_one(report, "accuracy_drop<=0.5%")
    assert (within.outcome, beyond.outcome) == ("pass", "fail")
    assert within.measured.value == pytest.approx(0.4 / 49.8)
    assert within.reason == (
        "accuracy_drop 0.80% is within 1.00% of the source's mae, 49.8, with probability above 0.9999"
    )


def test_a_limit_without_percent_is_in_the_metrics_own_unit(make_report):
    verdict = judge_one(make_report(accuracy=ages(50.2, 49.8)), "accuracy_drop<=0.01")
    assert verdict.outcome == "fail"
    assert verdict.reason == (
        "accuracy_drop 0.4000 against the source exceeds 0.0100, in units of mae, with probability above 0.9999"
    )
    share = judge_one(make_report(), "accuracy_drop<=0.5").reason
    assert "units" not in share


def test_nothing_is_a_share_of_a_source_at_zero(make_report):
    verdict = judge_one(make_report(accuracy=ages(1.0, 0.0)), "accuracy_drop<=1%")
    assert verdict.outcome == "inconclusive"
    assert "the source's value is 0" in verdict.reason


def test_each_metric_has_budgets_of_its_own(make_report):
    first = make_report().accuracy
    report = make_report(accuracy=joined([first, ages(50.2, 49.8, "mae:age"), ages(3.0, 3.0, "mse:size")]))
    told = {
        "accuracy_drop[age]<=1%": "pass",
        "accuracy_drop[mae]<=0.1%": "fail",
        "accuracy[mse:size]<=4": "pass",
        "accuracy[size]<=2": "fail",
        "accuracy_drop[top1]<=1": "pass",
    }
    verdicts = judge(report, parse_all(told))
    assert {verdict.budget.text: verdict.outcome for verdict in verdicts} == told
    assert verdicts[0].reason.startswith("accuracy_drop[age] 0.80% is within")
    assert judge_one(report, "accuracy_drop<=0.5") == judge_one(make_report(), "accuracy_drop<=0.5")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("accuracy_drop[mse]<=1", r"'mse' does not tell which metric is meant; write accuracy_drop\[mae:age\] or "),
        ("accuracy_drop[mae]<=1", r"'mae' does not tell which metric is meant.* or accuracy_drop\[mae:size\]"),
        ("accuracy[age]>=1", r"a lower mae:age is better, so write accuracy\[age\]<=1"),
    ],
)
def test_a_budget_that_names_no_metric_or_several_is_refused(make_report, text, words):
    report = make_report(accuracy=joined([ages(5.0, 5.0, "mae:age"), ages(5.0, 5.0, "mae:size")]))
    with pytest.raises(UsageError, match=words):
        judge_one(report, text)
