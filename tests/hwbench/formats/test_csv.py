from __future__ import annotations

import csv
import io

import pytest
from formats_data import HOSTILE, hostile_result, rendered, three_results

from hwbench.formats import csv as csv_format
from hwbench.results import profile_results


def read(make):
    return list(csv.DictReader(io.StringIO(rendered("csv", make))))


def test_one_line_per_entry_and_plain_numbers(results):
    lines = read(three_results)
    assert len(lines) == sum(len(each.candidates) for each in results.profiles)
    entry = results.profiles[0].selected
    line = next(line for line in lines if line["status"] == "selected")
    p90 = entry.report.estimate("p90")
    assert [float(line[f"p90_ms{end}"]) for end in ("", "_low", "_high")] == [p90.value, p90.low, p90.high]
    assert float(line["size_bytes"]) == entry.report.artifact.size_bytes
    assert float(line["accuracy_drop"]) == pytest.approx(0.001)
    assert line["metric"] == "top1"
    assert line["outcome"] == "pass"
    assert line["latency_samples"] == "1080"
    assert line["verdicts"] == "p90<=20ms: pass; accuracy_drop<=0.01: pass"


def test_what_is_missing_is_empty_and_says_why():
    lines = read(three_results)
    skipped = next(line for line in lines if line["precision"] == "fp16")
    assert (skipped["p50_ms"], skipped["outcome"]) == ("", "")
    assert "no fp16 kernels" in skipped["reason"]
    few = lines[-1]
    assert few["p99_ms"] == ""
    assert "368 samples" in few["not_measured"]
    assert "did not settle" in few["warnings"]


def test_hostile_text_stays_in_its_cell(hostile):
    lines = read(hostile_result)
    assert len(lines) == len(hostile.profiles[0].candidates)
    assert all(None not in line and None not in line.values() for line in lines)
    assert lines[0]["model"].startswith(HOSTILE[:30].replace("\n", " "))


def test_no_fields_leave_the_headings():
    text = csv_format.render(profile_results.of([]))
    assert text.count("\n") == 1
    assert "throughput_per_s_low" in text
