"""Files on a Dask worker, named by their digests, so that each travels to a worker once. This code runs there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from distributed import get_worker

LIMIT_BYTES = 4 << 30
"""The size that the files of one worker take at most; those that were not used for longest are removed."""


class NotHeldError(LookupError):
    """A file has not come to this worker yet; the argument is its name."""

    @property
    def name(self) -> str:
        """The name of the file: its digest, then its suffix."""
        return str(self.args[0])


def find(name: str) -> Path:
    """Find a file by its name, and mark it as used.

    Raises:
        NotHeldError: it is not here.
    """
    path = _folder() / name
    try:
        os.utime(path)
    except FileNotFoundError:
        raise NotHeldError(name) from None
    return path


def missing(names: Sequence[str]) -> list[str]:
    """List the files that have not come to this worker, and mark the others as used."""
    found = []
    for name in names:
        try:
            find(name)
        except NotHeldError:
            found.append(name)
    return found


def append(name: str, upload: str, part: bytes, *, is_last: bool) -> None:
    """Append a part to a file that is on its way.

    Args:
        name: its SHA-256 in hex, then its suffix.
        upload: a word of the sender's own, so that two senders of one file do not meet.
        part: the next bytes.
        is_last: the file is whole then.

    Raises:
        ValueError: the whole file has another digest.
        OSError: the disk is full.
    """
    folder = _folder()
    coming = folder / f"{upload}.part"
    try:
        with coming.open("ab") as file:
            file.write(part)
    except OSError:  # a full disk, which a part of a file would keep full
        coming.unlink(missing_ok=True)
        raise
    if is_last:
        with coming.open("rb") as file:
            digest = _sha256(file.fileno())
        if digest != name[:64]:
            coming.unlink()
            raise ValueError(f"the digest of what arrived is {digest[:12]}, and should be {name[:12]}")
        coming.replace(folder / name)
        _trim(folder, keep=name)


def _folder() -> Path:
    """The worker removes its own folder when it ends."""
    folder = Path(get_worker().local_directory, "edgewright")
    folder.mkdir(exist_ok=True)
    return folder


def _sha256(handle: int) -> str:
    digest = hashlib.sha256()
    while part := os.read(handle, 1 << 20):
        digest.update(part)
    return digest.hexdigest()


def _trim(folder: Path, keep: str) -> None:
    found = sorted(((file.stat(), file) for file in folder.iterdir()), key=lambda pair: pair[0].st_mtime)
    total = sum(status.st_size for status, _ in found)
    for status, file in found:
        if total > LIMIT_BYTES and file.name != keep:
            file.unlink(missing_ok=True)
            total -= status.st_size
