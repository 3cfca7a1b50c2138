from __future__ import annotations

import xml.etree.ElementTree as ET

import junitparser
import pytest
from formats_data import failed_result, measured_result, unmade_result

from hwbench.formats import junit
from hwbench.results import profile_results

# What junit-10.xsd of Jenkins' xUnit plugin allows: attributes (required ones with *), and children.
SCHEMA = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name*", "tests*", "failures*", "errors*", "time", "skipped", "timestamp", "hostname", "id", "package"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name*", "value*"}, set()),
    "testcase": ({"name*", "time", "classname"}, {"skipped", "error", "failure", "system-out", "system-err"}),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "system-out": (set(), set()),
    "system-err": (set(), set()),
}


def parse(results):
    return ET.fromstring(junit.render(results).encode("utf-8"))


def test_it_follows_the_schema(results, hostile):
    for shown in (results, hostile, profile_results.of([failed_result(), unmade_result()]), profile_results.of([])):
        for element in parse(shown).iter():
            attributes, children = SCHEMA[element.tag]
            assert set(element.attrib) <= {name.rstrip("*") for name in attributes}
            assert {name[:-1] for name in attributes if name.endswith("*")} <= set(element.attrib)
            assert {child.tag for child in element} <= children


def test_a_reader_of_junit_finds_suites_cases_and_their_results(results, hostile):
    for shown in (results, hostile):
        read = junitparser.JUnitXml.fromstring(junit.render(shown).encode("utf-8"))
        cases = [case for suite in read for case in suite]
        kinds = [type(result).__name__ for case in cases for result in case.result]
        assert (read.tests, read.failures, read.errors) == (len(cases), kinds.count("Failure"), kinds.count("Error"))
        before = read.tests, read.failures, read.errors
        read.update_statistics()  # counts anew
        assert (read.tests, read.failures, read.errors) == before
    assert [suite.name for suite in read] == [root.get("name") for root in parse(hostile)]


def test_one_case_per_verdict_and_inconclusive_is_an_error(results):
    root = parse(results)
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("5", "0", "1")
    names = [[case.get("name") for case in suite.iter("testcase")] for suite in root]
    assert names == [["p90<=20ms", "accuracy_drop<=0.01"], ["p90<=20ms", "accuracy_drop<=0.01"], ["measured"]]
    error = root.find(".//error")
    assert error is not None
    assert "raspberry-pi-5 was not here" in str(error.get("message"))


@pytest.mark.parametrize(("make", "tag"), [(failed_result, "failure"), (unmade_result, "error")])
def test_where_none_was_chosen_the_budgets_are_not_met(make, tag):
    root = parse(profile_results.of([make()]))
    (case,) = root.iter("testcase")
    (problem,) = case
    assert (case.get("name"), problem.tag) == ("budgets", tag)
    assert "fp32 (onnxruntime)" in str(problem.text)


def test_names_hold_no_figures_so_that_a_server_can_follow_them():
    (first, second) = parse(profile_results.of([measured_result()])).iter("testcase")
    assert first.get("classname") == second.get("classname") == "mobilenet-v2.x86-avx512-vnni"
    assert "int8" not in f"{first.get('name')}{second.get('name')}"


def test_doubts_are_in_system_err(results):
    assert "did not settle" in str(parse(results).findtext(".//system-err"))
