"""Types of options: a time, a list of names, and a name that may be a file."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from runtimes.errors import UsageError

_TIME = re.compile(r"\s*([0-9]*\.?[0-9]+|[0-9]+\.)\s*(ms|s|m|min|h)?\s*")
_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


class FileOrName(click.types.StringParamType):
    """A name that may also be a file, as in --profile board.toml or --metric scores.py:mine."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text as it is; the type tells the reader of edgewright.toml that it may be a path."""
        return str(value)


class Time(click.types.FloatParamType):
    """A time, as in 90, 90s, 5m or 1h.

    Attributes:
        at_least: the shortest one that is taken, in `unit`.
        unit: the unit of a number without one, and of the value: "s" or "m".
    """

    name = "time"

    def __init__(self, at_least: float, unit: str = "s") -> None:
        self.at_least, self.unit = at_least, unit

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Convert a text to a number of `unit`."""
        match = _TIME.fullmatch(str(value))
        found = float(match[1]) * _SECONDS[match[2] or self.unit] / _SECONDS[self.unit] if match else math.inf
        if found == math.inf:
            self.fail(f"{value!r} is no time; write it like 90, 90s, 5m or 1h.", param, ctx)
        if found < self.at_least:
            self.fail(f"{value!r} is too short; the shortest is {self.at_least:g}{self.unit}.", param, ctx)
        return found


class NamesOption(click.Option):
    """A repeatable option whose values may also be one list: --precision fp32,int8."""

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Convert the values of all occurrences to one tuple of names."""
        return split_names(super().type_cast_value(ctx, value))


def split_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Split texts at their commas; the name of a FILE or in FILE:FUNCTION may have some.

    Raises:
        UsageError: nothing is between two commas.
    """
    names: list[str] = []
    for text in texts:
        parts = [text] if names_file(text) else [part.strip() for part in text.split(",")]
        if not all(parts):
            raise UsageError(f"'{text}' names nothing before or after a comma; write it like fp32,int8.")
        names += parts
    return tuple(names)


def names_file(text: str, folder: Path = Path()) -> bool:
    """Tell whether a text is a file's name, or FILE:FUNCTION of a file, seen from a folder."""
    try:
        return any((folder / part).is_file() for part in (text, text.rpartition(":")[0]) if part)
    except OSError:  # a list of names may be too long for a file's name
        return False
