"""Temporary folders that a process owns by a lock, so that a later one can remove what a killed one left."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runtimes.processes.leftovers import hold, remove_leftovers

_PREFIX = ".edgewright-"
_NAME = re.compile(re.escape(_PREFIX) + r"\w{8}")  # as `tempfile` makes them


@contextlib.contextmanager
def owned_folder(parent: Path) -> Iterator[Path]:
    """Make a temporary folder, and remove those beside it whose processes were killed.

    Raises:
        OSError: no folder can be made there.
    """
    remove_leftovers(parent, _NAME, folders=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=_PREFIX) as name:
        handle = os.open(name, os.O_RDONLY)
        try:
            hold(handle)
            yield Path(name)
        finally:
            os.close(handle)


@contextlib.contextmanager
def temporary_files() -> Iterator[None]:
    """Put the temporary files of this process and of its children into one owned folder, until the end."""
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # what needs a temporary file will say so
            folder = stack.enter_context(owned_folder(Path(tempfile.gettempdir())))
            tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before[0]
            os.environ.pop("TMPDIR", None)
            if before[1] is not None:
                os.environ["TMPDIR"] = before[1]
