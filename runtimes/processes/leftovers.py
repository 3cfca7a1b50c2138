"""Leftovers of killed processes: temporary files and folders, known by the lock that nobody holds any more.

The system releases a lock when its process ends, however it ends, and shows it to other containers, too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import time
from pathlib import Path

_YOUNG_S = 60.0  # what was just made is not locked yet


def hold(handle: int) -> None:
    """Lock an open file or folder as this process's own, until it is closed."""
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_EX)


def remove_leftovers(parent: Path, names: re.Pattern[str], *, folders: bool = False) -> None:
    """Remove the files, or folders, that have such a name, are this user's, and are held by no process."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(parent):
            if names.fullmatch(entry.name):
                with contextlib.suppress(OSError):  # it is held, somebody else's, or gone already
                    _remove(Path(entry.path), folders)


def _remove(path: Path, is_folder: bool) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(handle)
        mode = found.st_mode & ~stat.S_ISGID  # which a folder takes from the one around it
        is_kind = mode == stat.S_IFDIR | stat.S_IRWXU if is_folder else stat.S_ISREG(mode)
        age_s = time.time() - found.st_mtime  # negative where the clock was set back
        if is_kind and found.st_uid == os.geteuid() and not 0 <= age_s <= _YOUNG_S:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True) if is_folder else path.unlink()
    finally:
        os.close(handle)
