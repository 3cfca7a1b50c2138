"""Put a build's results into the output folder: bundles first, then the reports that name them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hwbench import field
from hwbench.field import Field, Results
from hwbench.formats import html
from toolchain.files import replacing
from toolchain.pack import Contents, pack


def write_results(built: Sequence[tuple[Field, Contents | None]], out: Path) -> Results:
    """Write `<model>-<profile>.edge` for each profile that has a chosen candidate, report.json and report.html.

    Returns:
        The fields, each with the path of its bundle.
    """
    fields = []
    for result, contents in built:
        bundle = out / f"{result.model}-{result.profile}.edge" if contents is not None else None
        if contents is not None and bundle is not None:
            pack(contents, bundle)
        fields.append(dataclasses.replace(result, bundle=bundle))
    results = field.of(fields)
    for name, text in (("report.json", field.to_json(results)), ("report.html", html.render(results))):
        with replacing(out / name) as beside:
            beside.write_text(text, encoding="utf-8")
    return results
