"""edgewright.toml: a build's options in a file. Keys are the long option names; repeatable ones are lists."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

from runtimes.codec import decode
from runtimes.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class BuildConfig:
    """What `edgewright build` can be told."""

    source: str | None = None
    input: tuple[str, ...] = ()
    calibration: Path | None = None
    calibration_table: Path | None = None
    evaluation: Path | None = None
    metric: str | None = None
    profile: tuple[str, ...] = ()
    precision: tuple[str, ...] = ()
    runtime: tuple[str, ...] = ()
    correction: tuple[str, ...] = ()
    budget: tuple[str, ...] = ()
    threads: int | None = None
    duration: float | None = None
    time_limit: float | None = None
    name: str | None = None
    out: Path | None = None
    range: tuple[str, ...] = ()


def read(path: Path) -> BuildConfig:
    """Read a file; its relative paths are relative to its own folder.

    Raises:
        UsageError: the file is missing or wrong; says which key and what was expected.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"There is no file '{path}'.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"'{path}' cannot be read: {error}.") from None
    data = {key.replace("-", "_"): value for key, value in data.items()}  # as the command line spells it, too
    config = decode(BuildConfig, data, str(path))
    folder = path.parent
    moved = {
        name: folder / value
        for name in ("calibration", "calibration_table", "evaluation", "out")
        if (value := getattr(config, name)) is not None
    }
    return dataclasses.replace(
        config,
        source=_beside(folder, config.source),
        metric=_beside(folder, config.metric),
        profile=tuple(str(_beside(folder, profile)) for profile in config.profile),
        **moved,
    )


def _beside(folder: Path, text: str | None) -> str | None:
    """A name that may be a file, or FILE:FUNCTION: in the folder if there is such a file there."""
    if text is None or not any((folder / part).is_file() for part in (text, text.rpartition(":")[0])):
        return text
    return str(folder / text)


def merge(config: BuildConfig, given: BuildConfig) -> BuildConfig:
    """The file's options, with those given on the command line in their place."""
    changes = {f.name: value for f in dataclasses.fields(given) if (value := getattr(given, f.name)) not in (None, ())}
    return dataclasses.replace(config, **changes)
