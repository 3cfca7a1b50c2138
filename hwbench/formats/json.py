"""report.json: everything, raw samples included, for `hwbench.field.from_json` to read back."""

from __future__ import annotations

from hwbench import field
from hwbench.field import Results


def render(results: Results) -> str:
    """The text of report.json."""
    return field.to_json(results) + "\n"
