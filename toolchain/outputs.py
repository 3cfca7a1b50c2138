"""Put a build's results into the output folder: bundles first, then the reports that name them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from hwbench import field
from hwbench.field import Field, Results
from hwbench.formats import html
from toolchain.files import replacing
from toolchain.pack import Contents, pack


def write_results(fields: Sequence[Field], contents: Mapping[str, Contents], out: Path) -> Results:
    """Write `<model>-<profile>.edge` for each profile that has a chosen candidate, report.json and report.html.

    Returns:
        The fields, each with the path of its bundle.
    """
    packed = []
    for item in fields:
        bundle = None
        if item.profile in contents:
            bundle = out / f"{item.model}-{item.profile}.edge"
            pack(contents[item.profile], bundle)
        packed.append(dataclasses.replace(item, bundle=bundle))
    results = field.of(packed)
    for name, text in (("report.json", field.to_json(results)), ("report.html", html.render(results))):
        with replacing(out / name) as beside:
            beside.write_text(text, encoding="utf-8")
    return results
