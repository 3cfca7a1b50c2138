"""Output folders, which are removed again when the work fails."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runtimes.errors import UsageError
from runtimes.files import destination


@contextlib.contextmanager
def output_folder(path: Path, option: str = "--out") -> Iterator[Path]:
    """Make a folder writable for the work inside the `with`; if the work fails, remove the folders that were made.

    Args:
        path: the folder.
        option: the option that the user gave it with, for errors.

    Raises:
        UsageError: the folder cannot be made, is a file, or is not writable.
    """
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        _make_writable(path, option)
        yield path
    except BaseException:
        for folder in made:
            with contextlib.suppress(OSError):  # it was never made, or holds other files by now
                folder.rmdir()
        raise


@contextlib.contextmanager
def output_file(path: Path, option: str = "--out", *, make_folder: bool = True) -> Iterator[Path]:
    """Check that a file can be written; its folder is an `output_folder`.

    Args:
        path: the file.
        option: the option that the user gave it with, for errors.
        make_folder: make its folder; if false, a missing folder is an error, since it may be misspelt.

    Raises:
        UsageError: as in `output_folder`; or the path is a folder or a disk, is read-only, or its folder is missing.
    """
    try:
        place = destination(path)
    except UsageError as error:
        raise UsageError(f"{str(error)[:-1]}; give another file with {option}.") from None
    if place is None:  # a FIFO or a character device needs no file of its own
        yield path
        return
    if not make_folder and not place.parent.exists():
        raise UsageError(f"There is no folder '{place.parent}'; make it first, or give another file with {option}.")
    with output_folder(place.parent, option):
        yield path


def disk_full(folder: Path) -> OSError:
    """Make the error of a full disk, for a runtime or a child process that reports it only in words."""
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def _make_writable(path: Path, option: str) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UsageError(
            f"The output folder '{path}' cannot be written to: {error.strerror}; give another with {option}."
        ) from None
