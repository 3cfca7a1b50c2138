"""Several metrics in every format: each has its figures, its drop and its verdicts beside the first one's."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re

import pytest
from formats_data import measured_result, rendered

from hwbench.budgets.budget import parse_all
from hwbench.budgets.verdicts import judge
from hwbench.formats.sections.provenance import commands
from hwbench.measurements.accuracy import Accuracy, joined
from hwbench.results import profile_results
from runtimes import plugins

BUDGETS = parse_all(["p90<=20ms", "accuracy_drop<=0.01", "accuracy_drop[age]<=1%"])


def _ages(value):
    scores = tuple(value + step / 1e3 for step in range(-20, 21))
    return Accuracy("mae:age", False, 41, value, scores=scores)


def two_metrics():
    result = measured_result()
    candidates = []
    for number, candidate in enumerate(result.candidates):
        if candidate.report is not None:
            ages = dataclasses.replace(_ages(49.8 + number / 10), reference=_ages(49.8))
            accuracy = joined([candidate.report.accuracy, ages])
            report = dataclasses.replace(candidate.report, accuracy=accuracy)
            candidate = dataclasses.replace(candidate, report=report, verdicts=judge(report, BUDGETS))
        candidates.append(candidate)
    return dataclasses.replace(result, budgets=BUDGETS, candidates=tuple(candidates))


def _selected():
    (selected,) = (candidate for candidate in two_metrics().candidates if candidate.status == "selected")
    return selected


@pytest.mark.parametrize("form", plugins.names("hwbench.formats"))
def test_every_format_shows_every_metric_and_its_verdict(form):
    text = rendered(form, two_metrics)
    assert "age" in text
    if form not in ("bencher", "github-benchmark"):  # which hold figures alone
        assert "accuracy_drop[age]" in text.replace("\\[", "[").replace("&lt;", "<")
    if form not in ("github", "gitlab", "junit"):  # which show verdicts alone
        assert "mae:age" in text
    if form not in ("github", "github-benchmark", "gitlab", "junit"):  # the second holds what is better when smaller
        numbers = map(float, re.findall(r"\d+\.\d+", text))
        assert _selected().report.accuracy.of("age").value in map(pytest.approx, numbers)


def test_the_headline_names_each_metric():
    text = rendered("markdown", two_metrics)
    assert "top1 97.9% (drop 0.1 points), mae:age 50.3000 (drop 0.5000)" in text


def test_csv_has_columns_for_each_metric():
    rows = list(csv.DictReader(io.StringIO(rendered("csv", two_metrics))))
    by_name = {row["candidate"]: row for row in rows}
    row = by_name[_selected().name]
    assert float(row["accuracy[mae:age]"]) == pytest.approx(50.3)
    assert float(row["accuracy_drop[mae:age]_high"]) > 0
    assert row["metric"] == "top1, mae:age"
    assert {len(each) for each in rows} == {len(row)}
    assert any(each["accuracy[mae:age]"] == "" for each in rows if not each["accuracy"])


def test_report_json_is_read_back_with_every_metric():
    text = rendered("json", two_metrics)
    found = profile_results.from_json(text, "report.json").profiles[0]
    assert found == two_metrics()
    assert json.loads(text)["profiles"][0]["candidates"][0]["report"]["accuracy"]["others"][0]["metric"] == "mae:age"


def test_the_commands_to_repeat_it_name_each_metric():
    assert all("--metric top1 --metric mae:age" in command for command in commands(two_metrics())[1:])
