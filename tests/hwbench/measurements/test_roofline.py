"""The roofline of a report: which of the two bounds it, and when there is none."""

from __future__ import annotations

import dataclasses

import pytest

from hwbench.measurements.memory_bandwidth import Bandwidth
from hwbench.measurements.peaks import Peaks
from hwbench.measurements.report import NotMeasuredError
from hwbench.measurements.roofline import roofline
from hwbench.results.profile_results import CandidateResult, ProfileResult, from_json, of, to_json
from runtimes.bundles.work import Work

PEAKS = Peaks(
    threads=1,
    operations_per_s={"fp32": 1e11, "int8": 4e11},
    memory=(Bandwidth(1_000_000, 1e11), Bandwidth(100_000_000, 1e10)),
    versions={"onnxruntime": "1"},
    missing={"bf16": "this processor has no bf16"},
)


@pytest.fixture
def report_of(make_report, make_latency):
    """A report of a model that takes 10 ms at p50."""

    def make(work, peaks=PEAKS, **changes):
        report = make_report(latency=make_latency(median_ms=10, runs=400), peaks=peaks, **changes)
        return dataclasses.replace(report, artifact=dataclasses.replace(report.artifact, work=work))

    return make


def test_operations_of_several_precisions_take_the_sum_of_their_times(report_of):
    found = roofline(report_of(Work({"fp32": 10**8, "int8": 8 * 10**8}, {"int8": 1000}, 100)))
    assert (found.bound, found.time_ms) == ("compute", pytest.approx(1 + 2))
    assert found.share == pytest.approx(0.3, rel=0.02)


def test_bytes_bound_what_reads_more_than_it_computes(report_of):
    weights = 50_000_000  # read no faster than what is a fiftieth of its size
    found = roofline(report_of(Work({"fp32": 10**6}, {"fp32": weights}, 0)))
    assert (found.bound, found.time_ms) == ("memory", pytest.approx(weights / 1e11 * 1e3))
    found = roofline(report_of(Work({"fp32": 10**6}, {"fp32": 2 * weights}, 0)))
    assert found.time_ms == pytest.approx(2 * weights / 1e10 * 1e3)


def test_a_share_above_one_is_shown_as_it_is(report_of):
    found = roofline(report_of(Work({"fp32": 2 * 10**9}, {}, 0)))
    assert found.share == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (None, "operations were not counted"),
        (Work({"fp32": 10}, {}, 0, ("Einsum (2)",)), "Einsum (2) cannot be counted"),
        (Work({"bf16": 10}, {}, 0), "no peak rate in bf16: this processor has no bf16"),
        (Work({"fp8": 10}, {}, 0), "no peak rate in fp8: it was not measured"),
        (Work({}, {"fp32": 40}, 4), "too few bytes for a bound"),
    ],
)
def test_what_is_unknown_leaves_no_roofline_and_says_why(report_of, work, words):
    with pytest.raises(NotMeasuredError) as reason:
        roofline(report_of(work))
    assert words in str(reason.value)


def test_without_peaks_or_latency_the_reason_is_theirs(report_of):
    work = Work({"fp32": 10}, {}, 0)
    with pytest.raises(NotMeasuredError, match="profiles --peaks"):
        roofline(report_of(work, peaks=None))
    with pytest.raises(NotMeasuredError, match="no GPU here"):
        roofline(report_of(work, peaks=None, unmeasured={"peaks": "no GPU here"}))
    with pytest.raises(NotMeasuredError, match="no such device"):
        roofline(dataclasses.replace(report_of(work, unmeasured={"latency": "no such device"}), latency=None))


def test_work_and_peaks_survive_report_json(report_of):
    report = report_of(Work({"fp32": 10}, {"fp32": 40}, 4, ("Einsum (1)",)))
    results = of(
        [ProfileResult("net", "device", (), (CandidateResult("fp32", "fp32", "onnxruntime", "measured", "", report),))]
    )
    assert from_json(to_json(results), "report.json") == results
