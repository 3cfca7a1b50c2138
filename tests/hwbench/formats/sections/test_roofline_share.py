"""Every format shows a latency's share of the roofline, or why there is none."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io

import pytest
from formats_data import measured_result, rendered

from hwbench.formats.sections.roofline_share import peaks, rooflines
from hwbench.measurements.memory_bandwidth import Bandwidth
from hwbench.measurements.peaks import Peaks
from hwbench.results.profile_results import ProfileResult
from runtimes.bundles.work import Work

PEAKS = Peaks(4, {"fp32": 1e11, "int8": 4e11}, (Bandwidth(1 << 20, 2e10),), {})


@functools.cache
def bounded() -> ProfileResult:
    """fp32 and int8 with a roofline, the storage precisions without a count; the rest was asked for none."""
    base = measured_result()
    entries = []
    for entry in base.candidates:
        report = entry.report
        if report is not None and entry.precision in ("fp32", "int8"):
            artifact = dataclasses.replace(report.artifact, work=Work({entry.precision: 6 * 10**8}, {"fp32": 100}, 10))
            report = dataclasses.replace(report, artifact=artifact, peaks=PEAKS)
        elif report is not None and entry.precision.endswith("-storage"):
            report = dataclasses.replace(report, peaks=PEAKS)
        entries.append(dataclasses.replace(entry, report=report))
    return dataclasses.replace(base, candidates=tuple(entries))


def test_the_sentences():
    said = dict(rooflines(bounded()))
    assert list(said) == [f"{name} (onnxruntime)" for name in ("fp32", "fp16-storage", "bf16-storage", "int8")]
    assert said["fp32 (onnxruntime)"].startswith("p50 31.")
    assert said["fp32 (onnxruntime)"].endswith("ms, roofline 6.00 ms (compute-bound), 19%")
    assert said["int8 (onnxruntime)"].endswith("ms, roofline 1.50 ms (compute-bound), 10%")
    assert said["fp16-storage (onnxruntime)"] == "none: the model's operations were not counted"
    assert peaks(bounded()) == ("with 4 threads: fp32 100 GFLOP/s, int8 400 GOP/s, memory 20 GB/s",)


def test_a_share_above_all_there_is_comes_with_what_may_be_wrong():
    slow = dataclasses.replace(PEAKS, operations_per_s={"fp32": 1e9, "int8": 1e9})
    entries = [
        dataclasses.replace(entry, report=dataclasses.replace(entry.report, peaks=slow))
        for entry in bounded().candidates
        if entry.precision == "fp32"
    ]
    ((_, said),) = rooflines(dataclasses.replace(bounded(), candidates=tuple(entries)))
    assert "roofline 600 ms (compute-bound), 19" in said
    assert "which is impossible: a peak was measured too low" in said
    assert "edgewright profiles --peaks --fresh" in said
    assert not any("impossible" in other for _, other in rooflines(bounded()))


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_people_read_them_in_every_format(form):
    options = {"verbose": True} if form == "text" else {}
    shown = " ".join(rendered(form, bounded, **options).split())
    assert "roofline 1.50 ms (compute-bound), 10%" in shown
    assert "operations were not counted" in shown
    assert "with 4 threads: fp32 100 GFLOP/s" in shown


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_where_nobody_asked_nothing_is_said(form):
    assert "roofline" not in rendered(form, measured_result).lower()


def test_a_table_no_terminal_is_too_narrow_for():
    assert max(map(len, rendered("text", bounded, width=80).splitlines())) <= 80


def test_csv_has_plain_numbers():
    lines = {line["precision"]: line for line in csv.DictReader(io.StringIO(rendered("csv", bounded))) if line}
    assert float(lines["int8"]["roofline_ms"]) == pytest.approx(1.5)
    assert lines["int8"]["roofline_bound"] == "compute"
    assert float(lines["int8"]["roofline_share"]) == pytest.approx(0.1, rel=0.1)
    assert lines["fp16-storage"]["roofline_share"] == ""
    assert lines["fp16-storage"]["roofline_missing"] == "the model's operations were not counted"
    assert lines["fp16"]["roofline_missing"] == ""
