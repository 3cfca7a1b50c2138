"""A line of a user's code, as errors show it."""

from __future__ import annotations

import linecache
from pathlib import Path

_LONGEST = 120  # characters of code


def shown(file: str, line: int) -> str:
    """Write a line as FILE:LINE and the code itself; a file in the current folder by its relative path."""
    path = Path(file).resolve()
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    code = linecache.getline(file, line).strip()
    return f"{path}:{line}" + (f" (`{code[:_LONGEST]}`)" if code else "")
