"""Results for every format's tests."""

from __future__ import annotations

import pytest
from formats_data import elsewhere_field, few_samples_field, hostile_field, measured_field

from hwbench.results import profile_results
from hwbench.results.profile_results import Results


@pytest.fixture(scope="session")
def results() -> Results:
    """Seven candidates, one chosen; a device that was not here; and a field with too few samples."""
    return profile_results.of([measured_field(), elsewhere_field(), few_samples_field()])


@pytest.fixture(scope="session")
def hostile() -> Results:
    """Every free text holds what breaks tables, markup and terminals."""
    return profile_results.of([hostile_field()])
