"""Results for every format's tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from formats_data import hostile_result, three_results

from hwbench.measurements.report import Report
from hwbench.results import profile_results
from hwbench.results.profile_results import Results


@pytest.fixture(scope="package", autouse=True)
def _estimates_once() -> Iterator[None]:
    """Each figure of a report is estimated once, since most of a page's time goes into bootstraps."""
    estimate, known = Report.estimate, {}

    def remembered(report: Report, quantity: str) -> Any:
        key = id(report), quantity
        if key not in known:
            known[key] = report, estimate(report, quantity)  # the report stays, and so its id is no other's
        return known[key][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Report, "estimate", remembered)
        yield


@pytest.fixture(scope="session")
def results() -> Results:
    return three_results()


@pytest.fixture(scope="session")
def hostile() -> Results:
    """Every free text holds what breaks tables, markup and terminals."""
    return profile_results.of([hostile_result()])
