"""Formats of services that keep figures: GitLab, Prometheus, Bencher and github-action-benchmark."""

from __future__ import annotations

import json
import re

from formats_data import failed_result, hostile_result, rendered, three_results


def test_gitlab_gets_an_issue_for_each_budget_that_is_not_met():
    issues = json.loads(rendered("gitlab", failed_result)) + json.loads(rendered("gitlab", three_results))
    assert {issue["severity"] for issue in issues} == {"major", "minor"}
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)
    for issue in issues:
        assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert re.fullmatch("[0-9a-f]{64}", issue["fingerprint"])
        assert issue["location"]["lines"] == {"begin": 1}
        assert "mobilenet-v2" in issue["description"]


def test_bencher_gets_each_figure_within_its_interval(results):
    benchmarks = json.loads(rendered("bencher", three_results))
    report = results.profiles[0].selected.report
    measures = benchmarks[f"{results.profiles[0].model} for {results.profiles[0].profile}"]
    assert measures["p90_ms"]["value"] == report.estimate("p90").value
    assert {"value", "lower_value", "upper_value"} == set(measures["p90_ms"])
    assert all(m["lower_value"] <= m["value"] <= m["upper_value"] for m in measures.values())


def test_a_benchmark_of_which_smaller_is_better_holds_no_rate_and_no_accuracy():
    figures = json.loads(rendered("github-benchmark", three_results))
    names = [figure["name"].rpartition(": ")[2] for figure in figures]
    assert "p90" in names
    assert "accuracy_drop" in names
    assert not {"throughput", "accuracy"} & set(names)
    assert all(isinstance(figure["value"], (int, float)) and figure["unit"] for figure in figures)


def test_openmetrics_has_one_family_per_quantity_in_base_units(results):
    for make in (three_results, hostile_result):
        lines = rendered("openmetrics", make).splitlines()
        assert lines[-1] == "# EOF"
        families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
        assert len(set(families)) == len(families)
        for line in lines:
            assert line.startswith("# ") or re.fullmatch(r'[a-z0-9_]+\{(\w+="(\\.|[^"\\])*",?)+\} \S+', line), line
    text = rendered("openmetrics", three_results)
    p90_s = results.profiles[0].selected.report.estimate("p90").value / 1e3
    assert f"{p90_s:.6}"[:6] in text
    assert 'budget="p90<=20ms"} 1\n' in text
    assert 'budget="p90<=20ms"} NaN\n' in text
