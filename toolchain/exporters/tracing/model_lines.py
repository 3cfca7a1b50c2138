"""Lines of a user's code, for errors that come from there."""

from __future__ import annotations

import linecache
import sysconfig
import traceback
from pathlib import Path
from typing import Any

import torch

TORCH = str(Path(torch.__file__).parent)
_PACKAGES = sysconfig.get_path("purelib")
_OTHERS = (TORCH, str(Path(__file__).parents[2]), sysconfig.get_path("stdlib"), "<")


def line_of(frame: Any) -> str | None:
    """Write a frame of a user's code as FILE:LINE and the line itself; None for torch's, Python's or our own."""
    file = getattr(frame, "filename", None)
    if file is None or (file.startswith(_OTHERS) and not file.startswith(_PACKAGES)) or file.startswith(TORCH):
        return None
    path = Path(file)
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    text = linecache.getline(file, frame.lineno).strip()
    return f"{path}:{frame.lineno}" + (f" (`{text[:120]}`)" if text else "")


def where_raised(error: BaseException) -> str | None:
    """Find the innermost line of a user's code that an error passed; that of a package only if there is no other."""
    while error.__cause__ is not None:
        error = error.__cause__
    frames = [frame for frame in reversed(traceback.extract_tb(error.__traceback__)) if line_of(frame)]
    own = [frame for frame in frames if not frame.filename.startswith(_PACKAGES)]
    return line_of((own or frames)[0]) if frames else None
