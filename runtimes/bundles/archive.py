"""The container of a bundle: a zip in which the members' names and bytes decide every other byte.

Members are stored, never compressed, one after the other in a given order, without comments, extra fields or time
stamps. The reader computes each header again and compares, so that nothing can hide between members, and no size can
be false. Any zip program opens such a file (APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16).
"""

from __future__ import annotations

import hashlib
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
_VERSION = 20  # version 2.0 of the format (APPNOTE.TXT, section 4.4.3)
_UNIX = 3 << 8 | _VERSION  # the file was made on Unix, so its attributes hold a mode
_DATE = 0x21  # 1980-01-01, the zip epoch
_REGULAR = 0o100644 << 16  # the Unix mode of a regular file, in the upper half of the external attributes
_LINK = 0o12  # the upper four bits of the Unix mode of a symbolic link
_MAX_DIRECTORY_BYTES = 1 << 20  # a bundle has some tens of members; a crafted file must not fill the memory
_MAX_BYTES = (1 << 32) - 1  # the limit of a zip without the 64-bit extension
_MAX_MEMBERS = (1 << 16) - 1
_MOST_AT_ONCE = 1 << 30  # one read() of Linux returns 2 GiB at most
_CHUNK = 1 << 20
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


def write(stream: BinaryIO, members: Mapping[str, bytes]) -> None:
    """Write members in the order given.

    Raises:
        UsageError: the members are more than 4 GiB or more than 65,535.
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
    """An open container: its members' names and sizes, and their bytes on demand.

    Args:
        path: the file.
        needed: the member that every bundle has. A zip without it is refused as "not a bundle", before its layout is
            checked.

    Raises:
        UsageError: there is no such file.
        BundleError: the file is no zip, or lacks the member `needed`.
        TamperedError: the file differs from the layout of `write`; says where.
    """

    def __init__(self, path: Path, needed: str) -> None:
        self.path = path
        try:
            if path.exists() and not path.is_file():  # open() of a pipe would wait for its other end
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
        """Number of bytes of each member, in the file's order."""
        return {name: size for name, (_, size, _) in self._entries.items()}

    def read(self, name: str) -> bytes:
        """Read a member's bytes.

        Raises:
            TamperedError: the file is closed, or was truncated since it was opened.
        """
        offset, size, _ = self._entries[name]
        return self._bytes_at(offset, size)

    def is_intact(self, name: str, data: bytes) -> bool:
        """Tell whether a member's bytes have the checksum in the zip."""
        return zlib.crc32(data) == self._entries[name][2]

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self._stream.close()

    def _read_entries(self, needed: str) -> dict[str, tuple[int, int, int]]:
        """Read the offset, size and checksum of each member's data."""
        offset, count, directory = self._directory(os.fstat(self._stream.fileno()).st_size)
        if needed.encode() not in directory:
            raise BundleError(f"'{self.path}' is not an .edge bundle: it has no {needed}.")
        entries: dict[str, tuple[int, int, int]] = {}
        expected, position = 0, 0  # offsets of the next local header, and of its record in the directory
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
        """Read the directory; return its offset, its number of members, and its bytes."""
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
        """Read a record of the directory; return its name, checksum and size, and the offset of the next record."""
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

    def sha256(self) -> str:
        """Compute the digest of the whole file.

        Raises:
            TamperedError: it cannot be read any more.
        """
        digest, size = hashlib.sha256(), os.fstat(self._stream.fileno()).st_size
        for offset in range(0, size, _CHUNK):
            digest.update(self._bytes_at(offset, min(_CHUNK, size - offset)))
        return digest.hexdigest()

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
