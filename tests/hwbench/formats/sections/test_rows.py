from __future__ import annotations

import dataclasses
import functools

import pytest
from formats_data import (
    elsewhere_result,
    failed_result,
    few_samples_result,
    many_result,
    measured_result,
    unmade_result,
)

from hwbench.formats.sections import rows
from hwbench.formats.sections.headline import headline, outcome, reference, saving, speedup
from hwbench.results.profile_results import CandidateResult
from hwbench.stats.intervals import Estimate


@functools.cache
def table_of(make):
    return rows.rows(make())


def row(figures, precision="int8", status="measured"):
    entry = CandidateResult(precision, precision, "onnxruntime", status, "")
    return rows.Row(entry, precision, precision, precision, figures, {})


def test_figures_have_three_significant_digits_and_accuracy_four_decimals():
    assert rows.show("p50", 14.689) == "14.7"
    assert rows.show("p50", 0.0123456) == "0.0123"
    assert rows.show("p50", 1234.5) == "1,234"
    assert rows.show("size", 3_620_000) == "3.62"
    assert rows.show("accuracy", 0.97) == "0.9700"
    assert rows.show("p50", 0.0) == "0"


def test_there_is_no_negative_zero():
    assert rows.show("accuracy_drop", -0.00001) == "0.0000"


def test_an_interval_has_the_decimals_of_its_value():
    assert row({"p50": Estimate(9.87, 9.5, 10.123)}).interval("p50") == "[9.50, 10.12]"


def test_reasons_are_numbered_once_and_skipped_candidates_have_none():
    table = table_of(measured_result)
    assert rows.notes(table) == {}
    table = table_of(elsewhere_result)
    assert list(rows.notes(table).values()) == [1]
    assert table[0].value("p99", rows.notes(table)) == "n/a [1]"


def test_a_figure_that_is_no_number_counts_as_missing():
    result = measured_result()
    report = result.candidates[0].report
    assert report is not None and report.accuracy is not None
    nan = float("nan")
    broken = dataclasses.replace(report.accuracy, value=nan, scores=None, replicates=(nan,) * 9, reference=None)
    entry = dataclasses.replace(result.candidates[0], report=dataclasses.replace(report, accuracy=broken))
    (first,) = rows.rows(dataclasses.replace(result, candidates=(entry,)))
    assert "nan" in first.missing["accuracy"]


def test_names_carry_the_runtime_only_where_they_would_be_ambiguous():
    assert table_of(measured_result)[0].name == "fp32"
    assert table_of(many_result)[0].name == "fp32 (onnxruntime)"
    assert table_of(many_result)[0].tag == "fp32\nonnxruntime"
    assert table_of(measured_result)[0].tag == "fp32"


def test_a_charts_name_goes_on_in_a_second_line_and_keeps_its_runtime():
    (first, *_), others = measured_result().candidates, many_result().candidates
    long = [
        dataclasses.replace(first, name="int8, 1 layer in fp32 (onnxruntime)"),
        dataclasses.replace(first, name="int8 + bf16, 12 layers in bf16 (onnxruntime), set b18f"),
        dataclasses.replace(first, name="int8 (onnxruntime), graph_optimization=extended, and some more"),
    ]
    tags = [row.tag for row in rows.rows(dataclasses.replace(many_result(), candidates=(*long, *others)))]
    assert tags[0] == "int8, 1 layer in fp32\nonnxruntime"
    assert tags[1] == "int8 + bf16, 12 layers\nin bf16, set b18f\nonnxruntime"
    assert tags[2].count("\n") == 2
    assert "\N{HORIZONTAL ELLIPSIS}" in tags[2]


@pytest.mark.parametrize(
    ("name", "runtime", "shown"),
    [
        ("int8 (onnxruntime)", "onnxruntime", "int8 (onnxruntime)"),
        ("int8-onnxruntime", "onnxruntime", "int8-onnxruntime"),
        ("candidate", "openvino", "candidate, int8 (openvino)"),
    ],
)
def test_a_label_says_each_word_once(name, runtime, shown):
    assert rows.label(CandidateResult(name, "int8", runtime, "eligible", "")) == shown


def test_headlines():
    assert headline(few_samples_result(), table_of(few_samples_result)) == (
        "int8 (onnxruntime): p50 14.5 ms, accuracy 97.9% (drop 0.1 points)"
    )
    assert headline(elsewhere_result(), table_of(elsewhere_result)) == (
        "int8 (onnxruntime): latency not measured, accuracy 97.9% (drop 0.1 points), "
        "inconclusive on 1 of 2 budgets (p90<=20ms)"
    )
    assert headline(failed_result(), table_of(failed_result)) == (
        "No candidate meets the budgets: of 4 judged, each breaks at least one"
    )
    assert headline(unmade_result(), table_of(unmade_result)) == (
        "Nothing was measured for x86-avx512-vnni: The time limit ran out"
    )


def test_the_headline_says_which_budget_nobody_gave():
    passed = measured_result()
    assert headline(passed, table_of(measured_result)).endswith(", passes both budgets")
    entries = []
    for entry in passed.candidates:
        verdicts = tuple(
            dataclasses.replace(verdict, budget=dataclasses.replace(verdict.budget, is_default=True))
            for verdict in entry.verdicts[1:]
        )
        entries.append(dataclasses.replace(entry, verdicts=verdicts))
    default = dataclasses.replace(passed, candidates=tuple(entries))
    assert headline(default, rows.rows(default)).endswith(", passes its budget (accuracy_drop<=0.01 by default)")


def test_what_had_no_budget_is_measured_not_passed():
    assert outcome(few_samples_result()) == "measured"
    assert outcome(measured_result()) == "pass"


def test_comparisons_admit_when_intervals_overlap():
    base = row({"p50": Estimate(10, 9, 11), "size": Estimate(8, 8, 8)}, "fp32", "eligible")
    assert speedup(row({"p50": Estimate(5, 4.9, 5.1)}), base, "p50") == "2.0x faster"
    assert speedup(row({"p50": Estimate(20, 19, 21)}), base, "p50") == "2.0x slower"
    assert speedup(row({"p50": Estimate(9.5, 9, 10)}), base, "p50") == "no clear difference"
    assert saving(row({"size": Estimate(2, 2, 2)}), base, "size") == "75% less"
    assert saving(row({"size": Estimate(8, 8, 8)}), base, "size") == "the same"
    assert saving(row({}), base, "size") == ""


def test_the_reference_is_fp32_of_the_same_runtime_or_the_only_other():
    many = reference(table_of(many_result))
    assert many is not None and many.name == "fp32 (tensorrt)"
    pair = (row({"p50": Estimate(1, 1, 1)}), row({"p50": Estimate(2, 2, 2)}, "int8", "eligible"))
    assert reference(pair) is pair[1]
    assert reference(pair[:1]) is None
