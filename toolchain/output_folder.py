"""Folders and files for results, which leave no trace when the work fails."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runtimes.errors import UsageError


@contextlib.contextmanager
def output_folder(path: Path, option: str = "--out") -> Iterator[Path]:
    """A folder that files can be written to, made if there is none; if the work fails, what was made goes again.

    Args:
        path: the folder.
        option: what the user gave it with.

    Raises:
        UsageError: it cannot be made, is a file, or is not writable.
    """
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        _make_writable(path, option)
        yield path
    except BaseException:
        for folder in made:
            with contextlib.suppress(OSError):  # it was never made, or holds something by now
                folder.rmdir()
        raise


@contextlib.contextmanager
def output_file(path: Path, option: str = "--out", *, make_folder: bool = True) -> Iterator[Path]:
    """A file that can be written: its folder is an `output_folder`.

    Args:
        path: the file.
        option: what the user gave it with.
        make_folder: whether its folder is made; if not, one that is not there is taken for misspelt.

    Raises:
        UsageError: as there; or the path is a folder or a device, or its folder is not there and not to be made.
    """
    if path.exists() and not path.is_file():
        raise UsageError(f"'{path}' is a folder or a device; give a file with {option}.")
    if not make_folder and not path.parent.exists():
        raise UsageError(f"There is no folder '{path.parent}'; make it first, or give another file with {option}.")
    with output_folder(path.parent, option):
        yield path


def disk_full(folder: Path) -> OSError:
    """What to raise for a full disk that only a runtime's or a child process's words tell of."""
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
