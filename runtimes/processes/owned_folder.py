"""Temporary folders that a process owns by a lock, so that a later one can remove what a killed one left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_PREFIX = ".edgewright-"
_NAME = re.compile(re.escape(_PREFIX) + r"\w{8}")  # as `tempfile` makes them
_YOUNG_S = 60.0  # a folder is made before it is locked


@contextlib.contextmanager
def owned_folder(parent: Path) -> Iterator[Path]:
    """Make a temporary folder, and remove those beside it whose processes were killed.

    The system releases a lock when its process ends, however it ends, and shows it to other containers, too.

    Raises:
        OSError: no folder can be made there.
    """
    _remove_abandoned(parent)
    with tempfile.TemporaryDirectory(dir=parent, prefix=_PREFIX) as name:
        handle = os.open(name, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
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


def _remove_abandoned(parent: Path) -> None:
    with contextlib.suppress(OSError):
        for entry in os.scandir(parent):
            if _NAME.fullmatch(entry.name):
                with contextlib.suppress(OSError):  # it is locked, somebody else's, or gone already
                    _remove(Path(entry.path))


def _remove(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(handle)
        is_ours = found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == stat.S_IRWXU
        if is_ours and time.time() - found.st_mtime > _YOUNG_S:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)
