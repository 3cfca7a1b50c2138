"""Writing that leaves the old file or the new one, never half of one."""

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
    """A path beside `path` to write to; on success it takes the other's place, otherwise it is removed.

    Raises:
        UsageError: `path` cannot be written; says why.
        OSError: the disk is full (ENOSPC), which is not about the path.
    """
    beside: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        beside = Path(name)
        yield beside
        beside.chmod(0o644)  # mkstemp's own is private; what we write is meant to be shared
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(path)
    except BaseException as error:
        if beside is not None:
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno != errno.ENOSPC:
            raise UsageError(f"'{path}' cannot be written: {error.strerror or error}.") from None
        raise
