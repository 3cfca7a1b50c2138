"""Verdicts on accuracy: held to a probability, in shares of the source's value, and by the metric that is named."""

from __future__ import annotations

import re

import numpy as np
import pytest
from verdict_parts import ages, judge_one, same_as_source

from hwbench.budgets.budget import Budget, parse_all
from hwbench.budgets.verdicts import judge
from hwbench.measurements.accuracy import joined
from hwbench.stats.paired_proportions import Flips


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


def test_samples_without_labels_make_an_open_verdict_a_pass(make_report):
    flips = make_report(accuracy=same_as_source(100, flips=Flips(2_000, 4)))
    assert judge_one(make_report(accuracy=same_as_source(100)), "accuracy_drop<=0.01").outcome == "inconclusive"
    assert judge_one(flips, "accuracy_drop<=0.01").outcome == "pass"


def test_of_the_source_nothing_is_estimated(make_report):
    verdict = judge_one(make_report(accuracy=same_as_source(3, is_source=True)), "accuracy_drop<=0.01")
    assert (verdict.outcome, verdict.probability) == ("pass", 1)
    assert verdict.reason == "accuracy_drop 0.0000 against the source is within 0.0100: it is the source"


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
