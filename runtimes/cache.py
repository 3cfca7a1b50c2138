"""Results that are stored on disk between runs, each under a key that holds everything the result depends on.

A cache is a folder with one file for each entry. The file's name is the SHA-256 of the key. Its first line is JSON that
holds the key and the SHA-256 of the content that follows, so that a person can read the entry's origin, and a damaged
entry is never taken for a whole one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from runtimes import files
from runtimes.codec import decode, encode
from runtimes.errors import UsageError

T = TypeVar("T")

_ENTRY = re.compile(r"\.?[0-9a-f]{64}(\..*)?")  # entries, and the temporary files of writes that were killed
_LARGEST_SHARE = 10  # one entry takes a tenth of the limit at most, or it would push out everything else


def folder(kind: str = "") -> Path | None:
    """Find the folder that holds the entries of one kind, or the folder of all kinds.

    Returns:
        A folder under EDGEWRIGHT_CACHE, else under XDG_CACHE_HOME or ~/.cache. None where a user has no home, as in
        a container that runs under a number without an account.
    """
    given = os.environ.get("EDGEWRIGHT_CACHE")
    if given:
        return _expanded(Path(given, kind))
    return _expanded(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "edgewright", kind))


@dataclass(frozen=True)
class Cache:
    """A folder of entries. It is a convenience: a folder that cannot be read or written costs time and no results.

    Attributes:
        folder: the folder of the entries; None for a cache that stores nothing.
        version: a part of every key, such as the digest of the code that makes the entries.
        limit_bytes: the size that `trim` leaves at most. An entry above a tenth of it is not stored.
        fresh: True to find nothing, and to replace each entry by the result that is made now.
        warn: called with a sentence when an entry is damaged; the entry counts as absent.
    """

    folder: Path | None
    version: str = ""
    limit_bytes: int = 2_000_000_000
    fresh: bool = False
    warn: Callable[[str], object] = lambda text: None

    def get(self, key: object) -> bytes | None:
        """Read the entry of a key, and mark it as used.

        Args:
            key: anything that `codec.encode` turns into plain data.
        """
        path = self._path(key)
        if path is None or self.fresh:
            return None
        try:
            if not path.is_file():  # open() of a FIFO would wait for its other end
                return None
            content = path.read_bytes()
        except OSError:
            return None
        try:
            data = unseal(self._whole(key), content)
        except ValueError as error:
            self.discard(key, str(error))
            return None
        with contextlib.suppress(OSError):  # the entry is another user's, or was just trimmed
            os.utime(path)
        return data

    def put(self, key: object, data: bytes) -> None:
        """Store bytes under a key, unless they are too many."""
        path = self._path(key)
        if path is None or not self.takes(len(data)):
            return
        with contextlib.suppress(OSError, UsageError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if files.destination(path) is None:  # a FIFO, which somebody else put there
                return
            with files.replacing(path) as temporary:
                temporary.write_bytes(seal(self._whole(key), data))

    def discard(self, key: object, reason: str) -> None:
        """Remove an entry that cannot be used, and say so.

        Args:
            key: its key.
            reason: the end of a sentence whose subject is the entry.
        """
        if (path := self._path(key)) is not None:
            with contextlib.suppress(OSError):  # so that the user is told once
                path.unlink()
            self.warn(f"The cache entry '{path}' {reason}, so its content is made again.")

    def takes(self, size_bytes: int) -> bool:
        """Tell whether the cache stores an entry of this size."""
        return self.folder is not None and size_bytes <= self.limit_bytes // _LARGEST_SHARE

    def get_value(self, cls: type[T], key: object) -> T | None:
        """Read an entry that `put_value` wrote; None if it does not decode, since `cls` has changed."""
        data = self.get(key)
        if data is None:
            return None
        with contextlib.suppress(ValueError, UsageError, RecursionError):
            return decode(cls, json.loads(data), "a cache entry")
        return None

    def put_value(self, key: object, value: object) -> None:
        """Store a dataclass under a key, as JSON that people can read."""
        self.put(key, json.dumps(encode(value), indent=1).encode() + b"\n")

    def trim(self) -> None:
        """Remove the entries that were not used for longest, until the others fit the limit."""
        entries = sorted(self._entries(), key=lambda entry: entry[1].st_mtime_ns)
        total = sum(status.st_size for _, status in entries)
        for path, status in entries:
            if total <= self.limit_bytes:
                return
            with contextlib.suppress(OSError):  # another process was first, or the entry is another user's
                path.unlink()
            total -= status.st_size

    def _entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        # Only our own files: a user may have named a folder that holds something else, too.
        if self.folder is None:
            return
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                with contextlib.suppress(OSError):  # another process has just removed it
                    status = path.lstat()
                    if _ENTRY.fullmatch(path.name) and stat.S_ISREG(status.st_mode):
                        yield path, status

    def _path(self, key: object) -> Path | None:
        if self.folder is None:
            return None
        return self.folder / hashlib.sha256(_text(self._whole(key)).encode()).hexdigest()

    def _whole(self, key: object) -> object:
        return {"key": encode(key), "version": self.version} if self.version else key


def seal(key: object, data: bytes) -> bytes:
    """Put a line that names the key and the digest of some bytes before them."""
    header = {"key": encode(key), "sha256": hashlib.sha256(data).hexdigest()}
    return _text(header).encode() + b"\n" + data


def unseal(key: object, content: bytes) -> bytes:
    """Return the bytes that were sealed under a key.

    Raises:
        ValueError: they were sealed under another key, were changed since, or were never sealed. The text says which,
            as the end of a sentence whose subject is the file.
    """
    header, _, data = content.partition(b"\n")
    if content == seal(key, data):
        return data
    try:
        stored = json.loads(header)["key"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("is no file that edgewright wrote") from None
    if stored != (wanted := json.loads(_text(key))):
        raise ValueError(f"was made by another build ({_difference(stored, wanted)})")
    raise ValueError("is damaged")


def _text(value: object) -> str:
    return json.dumps(encode(value), sort_keys=True)


def _difference(stored: Any, wanted: Any) -> str:
    if not isinstance(stored, dict) or not isinstance(wanted, dict):
        return f"{str(stored)[:60]} there, {str(wanted)[:60]} here"  # a key may hold a whole table
    names = sorted(name for name in {*stored, *wanted} if stored.get(name) != wanted.get(name))
    return "; ".join(f"{name}: {_difference(stored.get(name), wanted.get(name))}" for name in names[:3])


def _expanded(path: Path) -> Path | None:
    try:
        return path.expanduser()
    except RuntimeError:  # HOME is unset, and the user has no entry in the password database
        return None
