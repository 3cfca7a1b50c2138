"""Bencher Metric Format (BMF): JSON for `bencher run --adapter json`, with each figure's interval.

The form is that of Bencher's documentation, "Bencher Metric Format".
"""

from __future__ import annotations

import json

from hwbench.formats.sections.plain_figures import plain_figures
from hwbench.results.profile_results import Results


def render(results: Results) -> str:
    """Write an object of benchmarks, each with its measures, whose names hold the unit, such as p90_ms."""
    benchmarks: dict[str, dict[str, dict[str, float]]] = {}
    for figure in plain_figures(results):
        measures = benchmarks.setdefault(f"{figure.model} for {figure.profile}", {})
        value, low, high = figure.estimate.value, figure.estimate.low, figure.estimate.high
        measures[f"{figure.quantity}{figure.suffix}"] = {"value": value, "lower_value": low, "upper_value": high}
    return json.dumps(benchmarks, indent=1) + "\n"
