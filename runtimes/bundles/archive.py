"""The container of a bundle: a zip whose every byte follows from the names and bytes of its members.

Members are stored, never compressed, one after the other in a given order, without comments, extra fields or time
stamps. Reading makes each header anew and compares, so that nothing can hide between members, and no size can lie.
Any zip program opens such a file (APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16).
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import BinaryIO

from runtimes.errors import BundleError, TamperedError, UsageError

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_LOCAL_MAGIC, _CENTRAL_MAGIC, _END_MAGIC = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_VERSION = 20
_UNIX = 3 << 8 | _VERSION
_DATE = 0x21  # 1980-01-01, the zip epoch
_REGULAR = 0o100644 << 16
_LINK = 0o12
_MAX_DIRECTORY_BYTES = 1 << 20
_MAX_BYTES = (1 << 32) - 1  # what a zip without its 64-bit extension holds
_MAX_MEMBERS = (1 << 16) - 1
_MOST_AT_ONCE = 1 << 30  # Linux reads 2 GiB at most
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


def write(stream: BinaryIO, members: Mapping[str, bytes]) -> None:
    """Write members in the order given.

    Raises:
        UsageError: they are more than 4 GiB, or 65,535.
    """
    if sum(map(len, members.values())) + 200 * len(members) > _MAX_BYTES or len(members) > _MAX_MEMBERS:
        raise UsageError("A bundle holds at most 4 GiB and 65,535 members; choose a smaller precision or model.")
    directory, offset = b"", 0
    for name, data in members.items():
        crc = zlib.crc32(data)
        header = _local(name, crc, len(data))
        stream.write(header)
        stream.write(data)
        directory += _central(name, crc, len(data), offset)
        offset += len(header) + len(data)
    stream.write(directory)
    stream.write(_end(len(members), len(directory), offset))


class Archive:
    """An open file, its names and sizes, and its members on demand.

    Args:
        path: the file.
        needed: a member without which it is another program's zip, which is said before any fault of its layout.

    Raises:
        UsageError: there is no such file.
        BundleError: it is no zip, or lacks the member needed.
        TamperedError: it is not as `write` writes it; says how.
    """

    def __init__(self, path: Path, needed: str) -> None:
        self.path = path
        try:
            if path.exists() and not path.is_file():  # opening a pipe would wait for its other end
                raise BundleError(f"'{path}' is not an .edge bundle: it is a directory, or no regular file.")
            self._stream = path.open("rb", buffering=0)
        except FileNotFoundError:
            raise UsageError(f"There is no file '{path}'.") from None
        except (OSError, ValueError) as error:
            raise BundleError(f"'{path}' cannot be opened: {getattr(error, 'strerror', None) or error}.") from None
        try:
            self._entries = self._read_entries(needed)
        except BaseException:
            self.close()
            raise

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each member, in the file's order."""
        return {name: size for name, (_, size, _) in self._entries.items()}

    def read(self, name: str) -> bytes:
        """A member's bytes.

        Raises:
            TamperedError: the file is closed, or was cut meanwhile.
        """
        offset, size, _ = self._entries[name]
        return self._bytes_at(offset, size)

    def is_intact(self, name: str, data: bytes) -> bool:
        """Whether a member's bytes are those of the zip's checksum."""
        return zlib.crc32(data) == self._entries[name][2]

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self._stream.close()

    def _read_entries(self, needed: str) -> dict[str, tuple[int, int, int]]:
        """Where each member's data is, its size, and its checksum."""
        offset, count, directory = self._directory(os.fstat(self._stream.fileno()).st_size)
        if needed.encode() not in directory:
            raise BundleError(f"'{self.path}' is not an .edge bundle: it has no {needed}.")
        entries: dict[str, tuple[int, int, int]] = {}
        expected, position = 0, 0  # where the next local header should be, and where its record in the directory is
        for _ in range(count):
            name, crc, length, position = self._record(directory, position, expected, entries)
            start = expected + _LOCAL.size + len(name)
            if start + length > offset:
                raise TamperedError(f"'{self.path}': '{name}' claims {length:,} bytes, which the file does not have.")
            if self._bytes_at(expected, start - expected) != _local(name, crc, length):
                raise TamperedError(f"'{self.path}': the header of '{name}' is not as it was packed.")
            entries[name] = (start, length, crc)
            expected = start + length
        if expected != offset or position != len(directory):
            raise TamperedError(f"'{self.path}' has bytes that belong to no member.")
        return entries

    def _directory(self, size: int) -> tuple[int, int, bytes]:
        """Where the directory begins, how many members it lists, and its bytes."""
        if size < _END.size or self._bytes_at(0, 4) not in (_LOCAL_MAGIC, _END_MAGIC):
            raise BundleError(f"'{self.path}' is not an .edge bundle: it does not begin like one.")
        end = self._bytes_at(size - _END.size, _END.size)
        _, _, _, _, count, length, offset, _ = _END.unpack(end)
        if end != _end(count, length, offset) or offset + length + _END.size != size:
            raise TamperedError(f"'{self.path}' is truncated, or has bytes that belong to no member.")
        if length > _MAX_DIRECTORY_BYTES:
            raise TamperedError(f"'{self.path}' has a directory of {length:,} bytes; 1 MiB is the most.")
        return offset, count, self._bytes_at(offset, length)

    def _record(
        self, directory: bytes, position: int, expected: int, known: Collection[str]
    ) -> tuple[str, int, int, int]:
        """The name, checksum and size in a record of the directory, and where the next one begins."""
        if len(directory) < position + _CENTRAL.size:
            raise TamperedError(f"'{self.path}' lists more members than its directory holds.")
        fields = _CENTRAL.unpack_from(directory, position)
        flags, method, crc, packed, length, name_length, attributes = (fields[i] for i in (3, 4, 7, 8, 9, 10, 15))
        end = position + _CENTRAL.size + name_length
        name = directory[position + _CENTRAL.size : end].decode("latin-1")
        if not _SAFE_NAME.fullmatch(name) or ".." in name:
            raise TamperedError(f"'{self.path}' has a member with the unsafe name {name!r}.")
        if name in known:
            raise TamperedError(f"'{self.path}' has two members named '{name}'.")
        if attributes >> 28 == _LINK:
            raise TamperedError(f"'{self.path}': the member '{name}' is a link.")
        if flags & 1:
            raise TamperedError(f"'{self.path}': the member '{name}' is encrypted; bundles store their members plain.")
        if method != 0 or packed != length:
            raise TamperedError(f"'{self.path}': the member '{name}' is compressed; bundles store their members plain.")
        if directory[position:end] != _central(name, crc, length, expected):
            raise TamperedError(f"'{self.path}': the directory's record of '{name}' is not as it was packed.")
        return name, crc, length, end

    def _bytes_at(self, offset: int, length: int) -> bytes:
        chunks, left = [], length
        try:
            while left and (chunk := os.pread(self._stream.fileno(), min(left, _MOST_AT_ONCE), offset)):
                chunks.append(chunk)
                offset, left = offset + len(chunk), left - len(chunk)
        except (OSError, ValueError) as error:
            raise TamperedError(f"'{self.path}' cannot be read: {error}.") from None
        if left:
            raise TamperedError(f"'{self.path}' was cut while it was read.")
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _local(name: str, crc: int, size: int) -> bytes:
    fixed = _LOCAL.pack(_LOCAL_MAGIC, _VERSION, 0, 0, 0, _DATE, crc, size, size, len(name), 0)
    return fixed + name.encode("latin-1")


def _central(name: str, crc: int, size: int, offset: int) -> bytes:
    fields = (_CENTRAL_MAGIC, _UNIX, _VERSION, 0, 0, 0, _DATE, crc, size, size, len(name), 0, 0, 0, 0, _REGULAR, offset)
    return _CENTRAL.pack(*fields) + name.encode("latin-1")


def _end(count: int, length: int, offset: int) -> bytes:
    return _END.pack(_END_MAGIC, 0, 0, count, count, length, offset, 0)
