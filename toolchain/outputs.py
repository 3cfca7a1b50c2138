"""Put a build's results into the output folder, in the place of an earlier build's."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hwbench import field
from hwbench.field import Field, Results
from hwbench.formats import html
from hwbench.progress import say
from runtimes.errors import UsageError
from runtimes.files import replacing
from toolchain.pack import Contents, pack


def write_results(built: Sequence[tuple[Field, Contents | None]], out: Path) -> Results:
    """Write `<model>-<profile>.edge` for each profile that has a chosen candidate, report.json and report.html.

    Everything is staged beside, then renamed. An earlier bundle of a profile that has none now is removed, and stderr
    says so, so that none lies there that the report does not name.

    Returns:
        The fields, each with the path of its bundle.

    Raises:
        UsageError: a folder has the name of a file that is to be written; nothing was changed.
        OSError: the folder cannot be written to, or its disk is full; nothing was changed.
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
        _move(staged, out)
        for item in results.fields:
            earlier = out / f"{item.model}-{item.profile}.edge"
            if item.bundle is None and earlier.exists():
                earlier.unlink()
                say(f"Removed '{earlier}' of an earlier build: this one chose no candidate for {item.profile}.")
    return results


def _move(staged: Path, out: Path) -> None:
    files = sorted(staged.iterdir())
    for file in files:
        if (out / file.name).is_dir():
            raise UsageError(f"'{out / file.name}' is a folder; remove it, or give another folder with --out.")
    for file in files:
        file.replace(out / file.name)
