"""Results for every format's tests."""

from __future__ import annotations

import pytest
from formats_data import hostile_result, three_results

from hwbench.results import profile_results
from hwbench.results.profile_results import Results


@pytest.fixture(scope="session")
def results() -> Results:
    return three_results()


@pytest.fixture(scope="session")
def hostile() -> Results:
    """Every free text holds what breaks tables, markup and terminals."""
    return profile_results.of([hostile_result()])
