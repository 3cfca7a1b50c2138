"""Put a build's results into the output folder: all of them, or none."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hwbench import field
from hwbench.field import Field, Results
from hwbench.formats import html
from runtimes.files import replacing
from toolchain.pack import Contents, pack


def write_results(built: Sequence[tuple[Field, Contents | None]], out: Path) -> Results:
    """Write `<model>-<profile>.edge` for each profile that has a chosen candidate, report.json and report.html.

    Returns:
        The fields, each with the path of its bundle.

    Raises:
        OSError: the folder cannot be written to, or its disk is full; nothing in it was changed.
    """
    try:
        return _write(built, out)
    except OSError as error:
        error.filename = str(out)  # a failed write does not say where
        raise


def _write(built: Sequence[tuple[Field, Contents | None]], out: Path) -> Results:
    with tempfile.TemporaryDirectory(dir=out, prefix=".edgewright-") as folder:
        staged = Path(folder)
        fields = []
        for result, contents in built:
            name = f"{result.model}-{result.profile}.edge"
            if contents is not None:
                pack(contents, staged / name)
            fields.append(dataclasses.replace(result, bundle=out / name if contents is not None else None))
        results = field.of(fields)
        for name, text in (("report.json", field.to_json(results)), ("report.html", html.render(results))):
            with replacing(staged / name) as beside:
                beside.write_text(text, encoding="utf-8")
        for file in staged.iterdir():
            file.replace(out / file.name)
    return results
