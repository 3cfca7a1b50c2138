"""JUnit XML for CI servers: one test suite per profile, one test case per budget.

Follows the schema of Jenkins' xUnit plugin (junit-10.xsd). What is inconclusive is an error, so that no
server shows it as passed.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from hwbench.budgets.verdicts import Outcome
from hwbench.formats.sections import rows
from hwbench.formats.sections.headline import clean, headline, verdicts
from hwbench.formats.sections.provenance import machines, warnings
from hwbench.formats.sections.rows import label
from hwbench.results.profile_results import CandidateResult, ProfileResult, Results

_TAGS: dict[Outcome, str] = {"fail": "failure", "inconclusive": "error"}


def render(results: Results) -> str:
    """An XML document."""
    root = ET.Element("testsuites", name="edgewright")
    for field in results.profiles:
        root.append(_suite(field))
    _count(root)
    ET.indent(root)
    # "unicode" returns a string without a declaration; what it is encoded in is then the writer's to say.
    return clean('<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")) + "\n"


def _suite(field: ProfileResult) -> ET.Element:
    suite = ET.Element("testsuite", name=f"{field.model} for {field.profile}")
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(field):
        ET.SubElement(properties, "property", name=name, value=value)
    selected = field.selected
    if selected is not None and selected.report is not None and selected.verdicts:
        for verdict in selected.verdicts:
            _case(suite, field, verdict.budget.text, verdict.outcome, verdict.reason, label(selected))
    else:
        reason = headline(field, rows.rows(field))
        details = "\n".join(_details(field))
        _case(suite, field, "budgets" if field.budgets else "measured", field.outcome, reason, details)
    system_err = warnings(field)
    if system_err:
        ET.SubElement(suite, "system-err").text = "\n".join(f"Warning: {warning}" for warning in system_err)
    _count(suite)
    return suite


def _details(field: ProfileResult) -> Iterable[str]:
    for entry in field.candidates:
        yield f"{label(entry)}: {entry.status}{entry.reason and ', '}{entry.reason}"
    for entry, verdict in verdicts(field):
        yield f"{label(entry)}: {verdict.budget.text}: {verdict.outcome}, {verdict.reason}"


def _case(suite: ET.Element, field: ProfileResult, name: str, outcome: Outcome, reason: str, details: str) -> None:
    """The name holds no figure and no candidate, so that a server's history of it goes on from run to run."""
    case = ET.SubElement(suite, "testcase", name=name, classname=f"{field.model}.{field.profile}")
    if outcome in _TAGS:
        problem = ET.SubElement(case, _TAGS[outcome], type=outcome, message=reason)
        problem.text = details
    else:
        ET.SubElement(case, "system-out").text = f"{reason}\n{details}"


def _properties(field: ProfileResult) -> Iterable[tuple[str, str]]:
    yield "model", field.model
    yield "profile", field.profile
    if field.selected is not None:
        yield from _candidate(field.selected)
    yield from (("machine", machine) for machine in machines(field))
    yield from (("caveat", caveat) for caveat in field.caveats)
    if field.bundle is not None:
        yield "bundle", str(field.bundle)


def _candidate(entry: CandidateResult) -> Iterable[tuple[str, str]]:
    yield "candidate", label(entry)
    if entry.report is not None:
        yield "source_sha256", entry.report.artifact.source_sha256


def _count(element: ET.Element) -> None:
    for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
        element.set(attribute, str(sum(1 for _ in element.iter(tag))))
