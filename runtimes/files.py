"""Files: atomic writing, and reading of system files that may be missing."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runtimes.errors import UsageError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it replaces `path` on success and is removed on failure.

    A reader finds the old file or the new one, never a part of one.

    Raises:
        UsageError: `path` cannot be written; says why.
        OSError: the disk is full (ENOSPC), since another path on the disk would not help.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o644)  # mkstemp makes files private; ours are meant to be shared
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except BaseException as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno != errno.ENOSPC:
            raise UsageError(f"'{path}' cannot be written: {error.strerror or error}.") from None
        raise


def read_or_empty(path: Path) -> str:
    """Read a text file of the system; empty if it is missing or may not be read."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
