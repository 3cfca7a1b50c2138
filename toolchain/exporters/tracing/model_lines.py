"""Lines of a user's code, for errors that come from there."""

from __future__ import annotations

import os
import sysconfig
import traceback
from pathlib import Path
from typing import Any

import torch

from hwbench.data import code_line

_TORCH, _OURS = str(Path(torch.__file__).parent), str(Path(__file__).parents[2])
_STDLIB, _PACKAGES = sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")


def is_torch(file: str) -> bool:
    """Tell whether a file is one of torch's own."""
    return _is_in(file, _TORCH)


def line_of(frame: Any) -> str | None:
    """Write the line of a frame of a user's code; None for torch's, Python's or our own."""
    file = getattr(frame, "filename", None)
    return None if file is None or _is_foreign(file) else code_line.shown(file, frame.lineno)


def where_raised(error: BaseException) -> str | None:
    """Find the innermost line of a user's code that an error passed; that of a package only if there is no other."""
    while error.__cause__ is not None:
        error = error.__cause__
    frames = [frame for frame in reversed(traceback.extract_tb(error.__traceback__)) if line_of(frame)]
    own = [frame for frame in frames if not _is_in(frame.filename, _PACKAGES)]
    return line_of((own or frames)[0]) if frames else None


def _is_foreign(file: str) -> bool:
    if file.startswith("<") or is_torch(file) or _is_in(file, _OURS):
        return True
    return _is_in(file, _STDLIB) and not _is_in(file, _PACKAGES)  # which may be a folder of the standard library


def _is_in(file: str, folder: str) -> bool:
    return file.startswith(folder + os.sep)
