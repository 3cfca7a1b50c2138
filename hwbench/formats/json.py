"""report.json: everything, raw samples included, for `hwbench.results.profile_results.from_json` to read back."""

from __future__ import annotations

from hwbench.results import profile_results
from hwbench.results.profile_results import Results


def render(results: Results) -> str:
    """Write the text of report.json."""
    return profile_results.to_json(results) + "\n"
