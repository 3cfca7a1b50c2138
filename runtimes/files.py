"""Files: the one way to write an output, and reading of system files that may be missing."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from runtimes.errors import UsageError
from runtimes.processes.leftovers import hold, remove_leftovers


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, whose content becomes that of `path` on success; it is removed on failure.

    A reader finds the old file or the new one, never a part of one. As with other tools, a link is followed, a file
    that is there keeps its mode and, where the system allows it, its owner; a new file gets the mode that the umask
    leaves. A FIFO or a character device is written to, once all is known. What a killed process left of its writing of
    this file is removed.

    Raises:
        UsageError: `path` cannot be written, or is a folder, a socket or a disk; says why.
        OSError: the disk is full (ENOSPC), since another path on the disk would not help.
    """
    try:
        place = _place(path)
        with _sent_to(path) if place is None else _replaced(place) as temporary:
            yield temporary
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise _cannot_write(path, error) from None


def destination(path: Path) -> Path | None:
    """Find the file that writing to `path` makes or replaces, links followed.

    Returns:
        Its path; None for a FIFO or a character device, which is written to and not replaced.

    Raises:
        UsageError: `path` cannot be written, or is a folder, a socket or a disk; says why.
    """
    try:
        return _place(path)
    except OSError as error:
        raise _cannot_write(path, error) from None


def check_keeps(output: Path, inputs: Iterable[Path], option: str) -> None:
    """Check that writing to `output` replaces none of the files that a command reads.

    Args:
        output: the file to write. A FIFO or a device is not replaced, and so passes.
        inputs: the files that are read, whether they are there or not.
        option: the option that the user gave `output` with, for the error.

    Raises:
        UsageError: `output` is one of them, perhaps by another name.
    """
    if output.exists() and not output.is_file():
        return
    for file in inputs:
        if _is_same(output, file):
            raise UsageError(f"'{output}' is read by this command, and must not be replaced; give another {option}.")


def read_or_empty(path: Path) -> str:
    """Read a text file of the system; empty if it is missing or may not be read."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there yet
        return os.path.realpath(one) == os.path.realpath(other)


def _place(path: Path) -> Path | None:
    place = Path(os.path.realpath(path))
    try:
        status = path.stat()
    except FileNotFoundError:  # a link to a file that is not there yet makes that file
        return place
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISBLK(status.st_mode) or stat.S_ISSOCK(status.st_mode):
        raise OSError(errno.EINVAL, "it is a disk or a socket")
    if not os.access(path, os.W_OK):  # renaming would not ask
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    # A link in /proc/self/fd may lead to a file without a name, as /dev/stdout does.
    is_named = place.exists() and place.samefile(path)
    return place if stat.S_ISREG(status.st_mode) and is_named else None


@contextlib.contextmanager
def _sent_to(stream: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        yield (temporary := Path(folder, stream.name))
        with temporary.open("rb") as written, stream.open("wb") as sink:
            shutil.copyfileobj(written, sink)


@contextlib.contextmanager
def _replaced(file: Path) -> Iterator[Path]:
    remove_leftovers(file.parent, re.compile(rf"\.{re.escape(file.name)}\.[0-9a-f]{{8}}"))
    old = file.stat() if file.exists() else None
    temporary = file.with_name(f".{file.name}.{os.urandom(4).hex()}")
    # Opened so, and not by `tempfile`, a new file has the mode that the umask and its folder's defaults leave.
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 if old is None else 0o600)
    try:
        hold(handle)
        yield temporary
        if old is not None:
            _keep_access(temporary, old)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def _keep_access(file: Path, old: os.stat_result) -> None:
    for owner, group in ((-1, old.st_gid), (old.st_uid, -1)):
        with contextlib.suppress(PermissionError):  # only root may give a file to somebody else
            os.chown(file, owner, group)
    file.chmod(old.st_mode & 0o777)


def _cannot_write(path: Path, error: OSError) -> UsageError:
    return UsageError(f"'{path}' cannot be written: {error.strerror or error}.")
