"""OpenMetrics text, which GitLab's metrics report and Prometheus read: one gauge per quantity, in base units.

The form is that of the OpenMetrics specification 1.0: https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

import re

from hwbench.formats._escape import line as one_line
from hwbench.formats.sections import budget_lines
from hwbench.formats.sections.plain_figures import plain_figures
from hwbench.results.profile_results import Results

_BASE_UNITS = {"_ms": ("_seconds", 1e-3), "_uj": ("_joules", 1e-6)}
_MET = {"pass": "1", "fail": "0", "inconclusive": "NaN"}


def render(results: Results) -> str:
    """Write a gauge per quantity, and `edgewright_budget_met`: 1, 0, or NaN where it is inconclusive."""
    families: dict[str, list[str]] = {}
    for figure in plain_figures(results):
        name, _, metric = figure.quantity.rstrip("]").partition("[")
        suffix, scale = _BASE_UNITS.get(figure.suffix, (figure.suffix, 1.0))
        family = re.sub(r"[^a-z0-9_]", "_", f"edgewright_{name}{suffix}")
        labels = {"model": figure.model, "profile": figure.profile, **({"metric": metric} if metric else {})}
        families.setdefault(family, []).append(f"{family}{_labels(labels)} {figure.estimate.value * scale!r}")
    for result in results.profiles:
        for line in budget_lines.lines(result) if result.selected is not None else ():
            labels = {"model": result.model, "profile": result.profile, "budget": line.budget}
            family = "edgewright_budget_met"
            families.setdefault(family, []).append(f"{family}{_labels(labels)} {_MET[line.outcome]}")
    lines = [each for family, samples in families.items() for each in (f"# TYPE {family} gauge", *samples)]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return one_line(value).replace("\\", "\\\\").replace('"', '\\"')
