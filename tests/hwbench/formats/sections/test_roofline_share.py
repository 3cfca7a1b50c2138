"""Every format shows a latency's share of the roofline, or why there is none."""

from __future__ import annotations

import csv
import dataclasses
import io

import pytest
from formats_data import measured_field

from hwbench.formats import csv as csv_format
from hwbench.formats import html, markdown, text
from hwbench.formats.sections.roofline_share import ceilings, rooflines
from hwbench.measurements.memory_bandwidth import Bandwidth
from hwbench.measurements.peaks import Ceilings
from hwbench.results import profile_results
from hwbench.results.profile_results import ProfileResult
from runtimes.bundles.work import Work

CEILINGS = Ceilings(4, {"fp32": 1e11, "int8": 4e11}, (Bandwidth(1 << 20, 2e10),), {})


@pytest.fixture(scope="module")
def bounded() -> ProfileResult:
    """fp32 and int8 with a roofline, the storage precisions without a count; the rest was asked for none."""
    base = measured_field()
    entries = []
    for entry in base.entries:
        report = entry.report
        if report is not None and entry.precision in ("fp32", "int8"):
            artifact = dataclasses.replace(report.artifact, work=Work({entry.precision: 6 * 10**8}, {"fp32": 100}, 10))
            report = dataclasses.replace(report, artifact=artifact, ceilings=CEILINGS)
        elif report is not None and entry.precision.endswith("-storage"):
            report = dataclasses.replace(report, ceilings=CEILINGS)
        entries.append(dataclasses.replace(entry, report=report))
    return dataclasses.replace(base, entries=tuple(entries))


def test_the_sentences(bounded):
    said = dict(rooflines(bounded))
    assert list(said) == [f"{name} (onnxruntime)" for name in ("fp32", "fp16-storage", "bf16-storage", "int8")]
    assert said["fp32 (onnxruntime)"].startswith("p50 31.")
    assert said["fp32 (onnxruntime)"].endswith("ms, roofline 6.00 ms (compute-bound), 19%")
    assert said["int8 (onnxruntime)"].endswith("ms, roofline 1.50 ms (compute-bound), 10%")
    assert said["fp16-storage (onnxruntime)"] == "none: what the model computes was not counted"
    assert ceilings(bounded) == ("with 4 threads: fp32 100 GFLOP/s, int8 400 GOP/s, memory 20 GB/s",)


def test_a_share_above_all_there_is_comes_with_what_may_be_wrong(bounded):
    slow = dataclasses.replace(CEILINGS, operations_per_s={"fp32": 1e9, "int8": 1e9})
    entries = [
        dataclasses.replace(entry, report=dataclasses.replace(entry.report, ceilings=slow))
        for entry in bounded.entries
        if entry.precision == "fp32"
    ]
    ((_, said),) = rooflines(dataclasses.replace(bounded, entries=tuple(entries)))
    assert "roofline 600 ms (compute-bound), 19" in said
    assert "which is impossible: a peak was measured too low" in said
    assert "edgewright profiles --ceilings --fresh" in said
    assert not any("cannot be" in other for _, other in rooflines(bounded))


@pytest.mark.parametrize("form", [text, markdown, html])
def test_people_read_them_in_every_format(bounded, form):
    options = {"verbose": True} if form is text else {}
    shown = " ".join(form.render(profile_results.of([bounded]), **options).split())
    assert "roofline 1.50 ms (compute-bound), 10%" in shown
    assert "none: what the model computes was not counted" in shown
    assert "with 4 threads: fp32 100 GFLOP/s" in shown


@pytest.mark.parametrize("form", [text, markdown, html])
def test_where_nobody_asked_nothing_is_said(form):
    shown = form.render(profile_results.of([measured_field()]))
    assert "roofline" not in shown.lower()


def test_a_table_no_terminal_is_too_narrow_for(bounded):
    assert max(map(len, text.render(profile_results.of([bounded]), width=80).splitlines())) <= 80


def test_csv_has_plain_numbers(bounded):
    lines = {
        line["precision"]: line
        for line in csv.DictReader(io.StringIO(csv_format.render(profile_results.of([bounded]))))
        if line
    }
    assert float(lines["int8"]["roofline_ms"]) == pytest.approx(1.5)
    assert lines["int8"]["roofline_bound"] == "compute"
    assert float(lines["int8"]["roofline_share"]) == pytest.approx(0.1, rel=0.1)
    assert lines["fp16-storage"]["roofline_share"] == ""
    assert lines["fp16-storage"]["roofline_missing"] == "what the model computes was not counted"
    assert lines["fp16"]["roofline_missing"] == ""
