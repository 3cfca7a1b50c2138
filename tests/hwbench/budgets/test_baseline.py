"""Baselines: reports that a relative budget may compare with, and those that it refuses."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from hwbench.budgets.baseline import judge_report
from hwbench.budgets.budget import parse
from hwbench.measurements.accuracy import Accuracy, joined
from hwbench.measurements.latency import Latency, Load
from hwbench.stats.paired_proportions import Flips
from runtimes.errors import UsageError


def judge_one(report, text, baseline):
    (verdict,) = judge_report(report, [parse(text)], baseline)
    return verdict


@pytest.mark.parametrize("text", ["p90<=+5%", "throughput>=-5%", "load_time<=+5%", "peak_memory<=+5%"])
def test_latency_of_another_machine_is_refused_with_what_differs(make_report, machine, text):
    other = dataclasses.replace(machine, cpu="Other CPU", cores=8, isa=("avx2", "avx512f", "fma"))
    with pytest.raises(UsageError) as caught:
        judge_report(make_report(), [parse(text)], make_report(machine=other))
    message = str(caught.value)
    assert "measured on another machine" in message
    assert "cpu: Other CPU there, Some CPU here" in message
    assert "cores: 8 there, 4 here" in message
    assert "isa: avx512f there" in message
    assert "give the baseline's bundle" in message


@pytest.mark.parametrize("text", ["size<=+5%", "accuracy>=-50%", "p90<=1s"])
def test_what_no_machine_changes_is_compared_across_machines(make_report, machine, text):
    other = dataclasses.replace(machine, cpu="Other CPU")
    assert judge_one(make_report(), text, make_report(machine=other)).outcome == "pass"


def test_another_kernel_or_python_is_the_same_machine(make_report, machine):
    other = dataclasses.replace(machine, system="Linux 6.8", python="3.13")
    assert judge_one(make_report(), "p90<=+50%", make_report(machine=other)).outcome == "pass"


@pytest.mark.parametrize(
    ("change", "told"),
    [({"model": "cubic"}, "another model (cubic, not linear)"), ({"profile": "rpi5"}, "another profile (rpi5")],
)
def test_a_baseline_of_another_model_or_profile_is_refused(make_report, change, told):
    with pytest.raises(UsageError, match=re.escape(told)):
        judge_report(make_report(), [parse("size<=+5%")], make_report(**change))


@pytest.mark.parametrize(
    ("load", "told"),
    [
        (Load(False, 2, 500.0), "another load, by its target_per_s (500.0, not 100.0)"),
        (Load(False, 1, 100.0), "another load, by its workers (1, not 2)"),
        (Load(True, 2, 100.0), "another load, by its batched (True, not False)"),
    ],
)
def test_a_baseline_under_another_load_is_refused_where_latency_is_compared(make_report, make_latency, load, told):
    def served(load):
        return make_report(latency=Latency("server", 1, 1, make_latency().blocks, load))

    ours = served(Load(False, 2, 100.0))
    with pytest.raises(UsageError, match=re.escape(told)):
        judge_report(ours, [parse("p90<=+50%")], served(load))
    assert judge_one(ours, "size<=+5%", served(load)).outcome == "pass"
    assert judge_one(ours, "p90<=+50%", ours).outcome == "pass"


def test_a_baseline_of_another_metric_is_refused_where_accuracy_is_compared(make_report):
    baseline = make_report(accuracy=Accuracy("auc", True, 100, 0.9, scores=(0.9,) * 100))
    with pytest.raises(UsageError, match=re.escape("another metric (auc, not top1)")):
        judge_report(make_report(), [parse("accuracy>=-5%")], baseline)
    assert judge_one(make_report(), "size<=+5%", baseline).outcome == "pass"


def test_the_baselines_metric_is_compared_with_the_same_one(make_report):
    errors = Accuracy("mae", False, 3, 2.0, scores=(1.9, 2.0, 2.1))
    both = joined([make_report().accuracy, errors])
    worse = joined([both.each[0], dataclasses.replace(errors, value=4.0, scores=(3.9, 4.0, 4.1))])
    report, baseline = make_report(accuracy=worse), make_report(accuracy=both)
    assert judge_one(report, "accuracy[mae]<=+50%", baseline).outcome == "fail"
    assert judge_one(report, "accuracy[mae]<=+150%", baseline).outcome == "pass"
    others = dataclasses.replace(
        baseline, accuracy=dataclasses.replace(both, others=(dataclasses.replace(errors, data_sha256="x"),))
    )
    with pytest.raises(UsageError, match="measured on other evaluation samples"):
        judge_one(report, "accuracy[mae]<=+50%", others)


def share_right(right, n=1000, **changes):
    """A classifier that is right on the first samples, as its source is on 90% of them."""
    source = Accuracy("top1", True, n, 0.9, scores=(1.0,) * (9 * n // 10) + (0.0,) * (n // 10), proportion=True)
    scores = (1.0,) * right + (0.0,) * (n - right)
    fields = {"proportion": True, "reference": source, "data_sha256": "s", **changes}
    return Accuracy("top1", True, n, right / n, scores=scores, **fields)


@pytest.mark.parametrize("text", ["accuracy_drop<=0.01", "accuracy_drop<=1%", "accuracy>=-1%"])
def test_with_a_baseline_a_drop_is_against_the_baseline(make_report, text):
    """The candidate's own source lost as much: of that source's accuracy nothing is missing."""
    candidate = make_report(accuracy=share_right(900, is_source=True, flips=Flips(500, 0)))
    if text.startswith("accuracy_drop"):
        alone = judge_one(candidate, text, None)
        assert (alone.outcome, "the source" in alone.reason) == ("pass", True)
    for right, outcome in ((966, "fail"), (900, "pass"), (850, "pass"), (909, "inconclusive")):
        verdict = judge_one(candidate, text, make_report(accuracy=share_right(right)))
        assert verdict.outcome == outcome
        assert "the baseline" in verdict.reason and "source" not in verdict.reason
        assert "unlabelled" not in verdict.reason  # a bundle's samples without labels were compared with its source
        assert verdict.probability is not None
    assert candidate.accuracy.reference is not None and candidate.accuracy.against == "source"


def test_a_change_of_an_error_is_paired_too(make_report):
    errors = Accuracy("mae", False, 50, 2.0, scores=tuple(np.linspace(1, 3, 50)), data_sha256="s")
    worse = dataclasses.replace(errors, value=2.1, scores=tuple(np.linspace(1, 3, 50) * 1.05))
    for text, outcome in (("accuracy<=+6%", "pass"), ("accuracy<=+4%", "fail")):
        verdict = judge_one(make_report(accuracy=worse), text, make_report(accuracy=errors))
        assert (verdict.outcome, round(verdict.measured.value, 3)) == (outcome, 0.05)
        assert "mae change of" not in verdict.reason and "against the baseline" in verdict.reason


@pytest.mark.parametrize("text", ["accuracy_drop<=0.01", "accuracy>=-1%"])
def test_a_drop_against_a_baseline_takes_the_same_samples(make_report, text):
    other = make_report(accuracy=share_right(900, data_sha256="other"))
    with pytest.raises(UsageError, match="other evaluation samples; give --evaluation"):
        judge_one(make_report(accuracy=share_right(900)), text, other)
    parity = dataclasses.replace(share_right(900), metric="parity")
    of_other = dataclasses.replace(parity, data_sha256="other")
    with pytest.raises(UsageError, match="parity with their sources' outputs"):
        judge_one(make_report(accuracy=parity), text, make_report(accuracy=of_other))


def test_a_baseline_without_accuracy_is_inconclusive(make_report):
    verdict = judge_one(make_report(accuracy=share_right(900)), "accuracy_drop<=0.01", make_report(accuracy=None))
    assert (verdict.outcome, verdict.measured) == ("inconclusive", None)
    assert "the baseline was not scored" in verdict.reason


def test_metrics_that_were_resampled_in_two_ways_cannot_be_paired(make_report):
    ours = Accuracy("auc", True, 100, 0.9, replicates=(0.9,) * 20, resampling="jackknife")
    theirs = Accuracy("auc", True, 100, 0.9, replicates=(0.9,) * 500)
    verdict = judge_one(make_report(accuracy=ours), "accuracy_drop<=0.01", make_report(accuracy=theirs))
    assert (verdict.outcome, "resampled in two ways" in verdict.reason) == ("inconclusive", True)
