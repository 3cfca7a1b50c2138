"""Memory of the highest version that this device opened of each bundle, so that an older one is not taken again.

It is a JSON file, written whole or not at all. A version is only believed of a bundle whose signature was checked.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runtimes.bundles.release import MAX_VERSION
from runtimes.codec import decode, encode
from runtimes.errors import UsageError
from runtimes.files import replacing

SCHEMA_VERSION = 1
MAX_BYTES = 1 << 18


@dataclass(frozen=True)
class HighestVersions:
    """The contents of the file.

    Attributes:
        highest: the highest version that was opened, by the bundle's name.
    """

    schema_version: int = SCHEMA_VERSION
    highest: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.schema_version != SCHEMA_VERSION:
            raise ValueError(f"is of schema {self.schema_version}; this release of edgewright reads {SCHEMA_VERSION}")
        if not all(1 <= version <= MAX_VERSION for version in self.highest.values()):
            raise ValueError(f"holds a version that is not from 1 to {MAX_VERSION}")


def highest_version(file: Path, name: str) -> int:
    """Look up the highest version that was opened of a bundle; 0 if none was, or the file is not there yet.

    Raises:
        UsageError: the file cannot be read, or is damaged.
    """
    return _read(file).highest.get(name, 0)


def note_version(file: Path, name: str, version: int) -> None:
    """Remember a version that was opened, unless a higher one is remembered. Processes may do so at once.

    Raises:
        UsageError: the file cannot be read or written, is damaged, or would be too large.
    """
    if version <= highest_version(file, name):  # so that a device that restarts wears no flash
        return
    with _turn(file):
        known = _read(file).highest
        highest = HighestVersions(highest={**known, name: max(version, known.get(name, 0))})
        text = json.dumps(encode(highest), indent=1, sort_keys=True) + "\n"
        if len(text.encode()) > MAX_BYTES:
            raise UsageError(f"'{file}' would hold more than {MAX_BYTES:,} bytes of versions; give another file.")
        with replacing(file) as beside:
            beside.write_text(text, encoding="utf-8")


def _read(file: Path) -> HighestVersions:
    remedy = "restore it, or remove it if every older bundle may be opened again"
    try:
        if file.exists() and not file.is_file():
            raise UsageError(f"'{file}' cannot hold versions: it is no regular file.")
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return HighestVersions()
    except OSError as error:
        raise UsageError(f"'{file}' cannot be read: {error.strerror or error}.") from None
    if len(content) > MAX_BYTES:
        raise UsageError(f"'{file}' has more than {MAX_BYTES:,} bytes, which no file of versions has; {remedy}.")
    try:
        return decode(HighestVersions, json.loads(content), "the versions")
    except (ValueError, RecursionError, UsageError) as error:
        raise UsageError(f"'{file}' is damaged ({str(error).rstrip('.')}); {remedy}.") from None


@contextlib.contextmanager
def _turn(file: Path) -> Iterator[None]:
    """Wait until no other process writes a file of this folder."""
    try:
        handle = os.open(Path(os.path.realpath(file)).parent, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"'{file}' cannot be written: {error.strerror or error}.") from None
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
