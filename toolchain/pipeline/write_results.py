"""Writer of a build's results into the output folder, in place of an earlier build's."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from hwbench.formats import html
from hwbench.progress import say
from hwbench.results import profile_results
from hwbench.results.profile_results import ProfileResult, Results
from runtimes.bundles.bundle import Bundle
from runtimes.errors import BundleError, UsageError
from runtimes.files import destination, replacing
from runtimes.processes.owned_folder import owned_folder
from toolchain.packaging.pack import Contents, pack


def write_results(built: Sequence[tuple[ProfileResult, Contents | None]], out: Path, source_sha256: str) -> Results:
    """Write `<model>-<profile>.edge` for each profile that has a selected candidate, report.json and report.html.

    Everything is staged in the same folder, then renamed. An earlier bundle of a profile that has none now is removed,
    so that nobody ships a file that the report does not name. It stays if it is of the same source and no candidate
    could be made this time, since no measurement speaks against it. A line on stderr tells either.

    Args:
        built: per profile, its result and the contents of its bundle.
        out: the output folder.
        source_sha256: the source model's digest.

    Returns:
        The results, each with the path of its bundle.

    Raises:
        UsageError: a file cannot be written, such as one whose name a folder has; nothing was changed.
        OSError: the folder cannot be written to, or its disk is full; nothing was changed.
    """
    try:
        return _write(built, out, source_sha256)
    except OSError as error:
        error.filename = str(out)  # a failed write does not say where
        raise


def _write(built: Sequence[tuple[ProfileResult, Contents | None]], out: Path, source_sha256: str) -> Results:
    with owned_folder(out) as staged:
        written = []
        for result, contents in built:
            name = f"{result.model}-{result.profile}.edge"
            if contents is not None:
                pack(contents, staged / name)
            written.append(dataclasses.replace(result, bundle=out / name if contents is not None else None))
        results = profile_results.of(written)
        for name, text in (("report.json", profile_results.to_json(results)), ("report.html", html.render(results))):
            with replacing(staged / name) as beside:
                beside.write_text(text, encoding="utf-8")
        others = _models(out / "report.json") - {item.model for item in results.profiles}
        _move(staged, out)
        if others:
            say(f"Replaced the report of {', '.join(sorted(others))} in '{out}'; give each model its own --out.")
        for item in results.profiles:
            earlier = out / f"{item.model}-{item.profile}.edge"
            if item.bundle is None and earlier.is_file():
                _clear(earlier, item, source_sha256)
    return results


def _clear(earlier: Path, now: ProfileResult, source_sha256: str) -> None:
    """Remove the bundle of an earlier build, unless this build could make no candidate of the same source."""
    made_none = now.search is not None and now.search.made == 0
    if made_none and _source_of(earlier) == source_sha256:
        say(f"Kept '{earlier}' of an earlier build: this one could make no candidate for {now.profile}.")
        return
    earlier.unlink()
    say(f"Removed '{earlier}' of an earlier build: this one selected no candidate for {now.profile}.")


def _source_of(bundle: Path) -> str | None:
    """Read the digest of the model that a bundle was made from; None for a file that is no bundle."""
    try:
        with Bundle(bundle) as opened:
            return opened.manifest.artifact.source_sha256
    except (BundleError, OSError):
        return None


def _models(report: Path) -> set[str]:
    """Read the names of a report's models; none for a file that is no report."""
    try:
        return {str(item["model"]) for item in json.loads(report.read_bytes())["profiles"]}
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return set()


def _move(staged: Path, out: Path) -> None:
    """Move all files into the output folder, after a check that each can be written there."""
    files = sorted(staged.iterdir())
    for file in files:
        try:
            destination(out / file.name)
        except UsageError as error:
            raise UsageError(f"{str(error)[:-1]}; remove it, or give another folder with --out.") from None
    for file in files:
        with replacing(out / file.name) as beside:
            shutil.copymode(beside, file)
            shutil.move(file, beside)
