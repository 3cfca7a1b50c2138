"""JSON for github-action-benchmark, with `tool: customSmallerIsBetter`: figures of which a lower value is better."""

from __future__ import annotations

import json

from hwbench.formats.sections.plain_figures import plain_figures
from hwbench.results.profile_results import Results


def render(results: Results) -> str:
    """Write a list of figures; rates, and accuracies of which more is better, are not among them."""
    figures = [
        {
            "name": f"{figure.model} for {figure.profile}: {figure.quantity}",
            "unit": figure.suffix.lstrip("_") or "1",
            "value": figure.estimate.value,
            "range": f"{figure.estimate.low:.6g} to {figure.estimate.high:.6g}",
            "extra": figure.device,
        }
        for figure in plain_figures(results)
        if figure.lower_is_better
    ]
    return json.dumps(figures, indent=1) + "\n"
