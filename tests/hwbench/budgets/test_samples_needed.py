"""Samples that would settle an open verdict: their number, by hand, and none where more would not help."""

from __future__ import annotations

from verdict_parts import judge_one, same_as_source

from hwbench.budgets.budget import parse
from hwbench.budgets.samples_needed import SamplesNeeded
from hwbench.budgets.verdicts import judge


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
