"""JUnit XML for CI servers: one test suite per profile, one test case per budget.

Follows the schema of Jenkins' xUnit plugin (junit-10.xsd). An inconclusive verdict is an error, so that no server
shows it as passed.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from hwbench.budgets.outcome import Outcome
from hwbench.formats._escape import clean
from hwbench.formats.sections import rows
from hwbench.formats.sections.headline import headline, verdicts
from hwbench.formats.sections.provenance import machines, warnings
from hwbench.formats.sections.rows import label
from hwbench.results.profile_results import CandidateResult, ProfileResult, Results

_TAGS: dict[Outcome, str] = {"fail": "failure", "inconclusive": "error"}


def render(results: Results) -> str:
    """Write an XML document."""
    root = ET.Element("testsuites", name="edgewright")
    for result in results.profiles:
        root.append(_suite(result))
    _count(root)
    ET.indent(root)
    # "unicode" returns a string without a declaration, since the encoding is up to the writer of the file.
    return clean('<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")) + "\n"


def _suite(result: ProfileResult) -> ET.Element:
    suite = ET.Element("testsuite", name=f"{result.model} for {result.profile}")
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(result):
        ET.SubElement(properties, "property", name=name, value=value)
    selected = result.selected
    if selected is not None and selected.report is not None and selected.verdicts:
        for verdict in selected.verdicts:
            _case(suite, result, verdict.budget.text, verdict.outcome, verdict.reason, label(selected))
    else:
        reason = headline(result, rows.rows(result))
        details = "\n".join(_details(result))
        _case(suite, result, "budgets" if result.budgets else "measured", result.outcome, reason, details)
    system_err = warnings(result)
    if system_err:
        ET.SubElement(suite, "system-err").text = "\n".join(f"Warning: {warning}" for warning in system_err)
    _count(suite)
    return suite


def _details(result: ProfileResult) -> Iterable[str]:
    for candidate in result.candidates:
        yield f"{label(candidate)}: {candidate.status}{candidate.reason and ', '}{candidate.reason}"
    for candidate, verdict in verdicts(result):
        yield f"{label(candidate)}: {verdict.budget.text}: {verdict.outcome}, {verdict.reason}"


def _case(suite: ET.Element, result: ProfileResult, name: str, outcome: Outcome, reason: str, details: str) -> None:
    """Add a case whose name holds no figure and no candidate, so that a server can follow it from run to run."""
    case = ET.SubElement(suite, "testcase", name=name, classname=f"{result.model}.{result.profile}")
    if outcome in _TAGS:
        problem = ET.SubElement(case, _TAGS[outcome], type=outcome, message=reason)
        problem.text = details
    else:
        ET.SubElement(case, "system-out").text = f"{reason}\n{details}"


def _properties(result: ProfileResult) -> Iterable[tuple[str, str]]:
    yield "model", result.model
    yield "profile", result.profile
    if result.selected is not None:
        yield from _candidate(result.selected)
    yield from (("machine", machine) for machine in machines(result))
    yield from (("caveat", caveat) for caveat in result.caveats)
    if result.bundle is not None:
        yield "bundle", str(result.bundle)


def _candidate(candidate: CandidateResult) -> Iterable[tuple[str, str]]:
    yield "candidate", label(candidate)
    if candidate.report is not None:
        yield "source_sha256", candidate.report.artifact.source_sha256


def _count(element: ET.Element) -> None:
    for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
        element.set(attribute, str(sum(1 for _ in element.iter(tag))))
