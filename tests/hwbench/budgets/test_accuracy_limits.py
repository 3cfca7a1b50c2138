"""Limits on accuracy: those that a metric makes meaningless are refused, those at its bounds are judged."""

from __future__ import annotations

import re

import pytest
from verdict_parts import ages, judge_one

from hwbench.measurements.accuracy import Accuracy, joined
from runtimes.errors import UsageError


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
