"""Baselines: reports that a relative budget may compare with, and those that it refuses."""

from __future__ import annotations

import dataclasses
import re

import pytest

from hwbench.budgets.baseline import judge_report
from hwbench.budgets.budget import parse
from hwbench.measurements.accuracy import Accuracy, joined
from hwbench.measurements.latency import Latency, Load
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
