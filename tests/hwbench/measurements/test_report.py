"""Figures by quantity, and reasons for missing ones."""

from __future__ import annotations

import pytest

from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.report import NotMeasuredError
from hwbench.stats.intervals import Estimate


def test_every_quantity_is_the_figure_it_names(make_report):
    report = make_report()
    latency, accuracy = report.latency, report.accuracy
    assert latency is not None and accuracy is not None
    wanted = {
        "p50": latency.percentile(50),
        "p90": latency.percentile(90),
        "p95": latency.percentile(95),
        "throughput": latency.throughput_per_s,
        "load_time": latency.load_ms,
        "peak_memory": latency.peak_memory_bytes,
        "size": Estimate(4e6, 4e6, 4e6),
        "accuracy": accuracy.estimate(),
        "accuracy_drop": accuracy.drop(),
    }
    assert {quantity: report.estimate(quantity) for quantity in wanted} == wanted
    assert len({figure.value for figure in wanted.values() if figure}) == len(wanted)


def test_p99_and_p99_9_take_their_percentile(make_report, make_latency):
    report = make_report(latency=make_latency(runs=700))
    assert report.latency is not None
    assert report.estimate("p99") == report.latency.percentile(99)
    assert report.estimate("p99.9") == report.latency.percentile(99.9)
    assert report.estimate("p99.9").value > report.estimate("p99").value


@pytest.mark.parametrize("quantity", ["p50", "throughput", "load_time", "peak_memory"])
def test_what_comes_with_latency_gives_latencys_reason(make_report, quantity):
    with pytest.raises(NotMeasuredError, match=r"^no Pi here$"):
        make_report(latency=None, unmeasured={"latency": "no Pi here"}).estimate(quantity)
    with pytest.raises(NotMeasuredError, match=r"^latency was not measured$"):
        make_report(latency=None).estimate(quantity)


@pytest.mark.parametrize("quantity", ["accuracy", "accuracy_drop"])
def test_accuracy_gives_its_own_reason(make_report, quantity):
    with pytest.raises(NotMeasuredError, match="give --evaluation"):
        make_report(accuracy=None).estimate(quantity)
    with pytest.raises(NotMeasuredError, match=r"^no labels$"):
        make_report(accuracy=None, unmeasured={"accuracy": "no labels"}).estimate(quantity)


def test_size_is_known_of_what_was_never_run(make_report):
    assert make_report(latency=None, accuracy=None).estimate("size").value == 4e6


def test_a_drop_takes_a_reference(make_report):
    report = make_report(accuracy=Accuracy("top1", True, 2, 1.0, (1.0, 1.0), proportion=True))
    assert report.estimate("accuracy").value == 1
    with pytest.raises(NotMeasuredError, match="source model was not scored"):
        report.estimate("accuracy_drop")


def test_too_few_samples_say_how_many_it_takes(make_report, make_latency):
    with pytest.raises(NotMeasuredError, match=r"^p99 takes 368 samples, and there are 18$"):
        make_report(latency=make_latency(runs=3)).estimate("p99")


def test_memory_that_no_system_told_is_not_measured(make_report, make_latency, make_block):
    latency = type(make_latency())("single_stream", 1, 1, (make_block([1.0], peak_bytes=None),))
    with pytest.raises(NotMeasuredError, match="memory"):
        make_report(latency=latency).estimate("peak_memory")
