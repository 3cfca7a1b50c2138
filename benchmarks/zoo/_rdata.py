"""Data frames from an installed R package, read without R.

R keeps a package's data sets as `data/Rdata.rdb`, compressed pieces one after another, and `data/Rdata.rdx`, a
compressed list of where each begins. Both hold R's own serialization in its XDR form, which "R Internals", section 1.8
describes; the types that data frames of numbers, texts and factors are made of are read here.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from pathlib import Path
from typing import Any

_NO_VALUE = -2147483648  # R's NA among integers
# R's own names for these numbers (Rinternals.h, serialize.c).
_SYMBOL, _PAIRS, _ENVIRONMENT, _CHARACTERS, _LOGICALS = 1, 2, 4, 9, 10
_INTEGERS, _REALS, _STRINGS, _LIST = 13, 14, 16, 19
_REFERENCE, _PERSISTENT = 255, 247
_NOTHING = (242, 251, 252, 253, 254)  # the empty list and environments that are not written out


def data_frame(package: Path, name: str) -> dict[str, list[Any]]:
    """A data frame's columns; a factor becomes its levels' names.

    Args:
        package: the installed package's folder, which holds `data/`.
        name: the data frame's.
    """
    index = _Reader(zlib.decompress((package / "data" / "Rdata.rdx").read_bytes(), wbits=47)).item()
    start, length = index["variables"][name]
    piece = (package / "data" / "Rdata.rdb").read_bytes()[start : start + length]
    frame = _Reader(_decompressed(piece)).item()
    assert isinstance(frame, dict)
    return frame


def _decompressed(piece: bytes) -> bytes:
    """Four bytes of length, then zlib, or the letter Z and raw LZMA."""
    if piece[4:5] == b"Z":
        return lzma.decompress(piece[5:], lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 9}])
    return zlib.decompress(piece[4:])


class _Reader:
    """One serialized value. Named lists become dicts, vectors lists."""

    def __init__(self, data: bytes) -> None:
        assert data[:2] == b"X\n", "not R's XDR serialization"
        self._data, self._at = data, 2
        self._references: list[Any] = []
        version, _, _ = (self._integer() for _ in range(3))
        if version >= 3:
            self._bytes(self._integer())  # the native encoding

    def item(self) -> Any:
        flags = self._integer()
        kind, has_attributes, has_tag = flags & 255, bool(flags & 512), bool(flags & 1024)
        if kind in _NOTHING:
            return None
        if kind == _REFERENCE:
            return self._references[(flags >> 8 or self._integer()) - 1]
        if kind == _PAIRS:
            return self._pairs(has_attributes, has_tag)
        if kind == _SYMBOL:
            return self._remember(self.item())
        if kind == _PERSISTENT:
            self._integer()
            return self._remember([self.item() for _ in range(self._integer())])
        if kind == _ENVIRONMENT:
            self._remember(None)
            self._integer()
            for _ in range(4):  # enclosure, frame, hash table, attributes
                self.item()
            return None
        if kind == _CHARACTERS:
            length = self._integer()
            return None if length == -1 else self._bytes(length).decode("utf-8", "replace")
        value = self._vector(kind)
        return _with_attributes(value, self.item() if has_attributes else None)

    def _vector(self, kind: int) -> list[Any]:
        n = self._integer()
        if kind in (_STRINGS, _LIST):
            return [self.item() for _ in range(n)]
        if kind == _REALS:
            return list(struct.unpack(f">{n}d", self._bytes(8 * n)))
        if kind in (_INTEGERS, _LOGICALS):
            return list(struct.unpack(f">{n}i", self._bytes(4 * n)))
        raise ValueError(f"R's type {kind} is not one that data frames are made of.")

    def _pairs(self, has_attributes: bool, has_tag: bool) -> dict[str, Any]:
        if has_attributes:
            self.item()
        key = self.item() if has_tag else ""
        first = {key: self.item()}
        return first | (self.item() or {})

    def _remember(self, value: Any) -> Any:
        self._references.append(value)
        return value

    def _integer(self) -> int:
        return int(struct.unpack(">i", self._bytes(4))[0])

    def _bytes(self, n: int) -> bytes:
        self._at += n
        return self._data[self._at - n : self._at]


def _with_attributes(value: list[Any], attributes: dict[str, Any] | None) -> Any:
    """Names make a list a dict; levels make integers, counted from 1, texts."""
    if attributes and "levels" in attributes:
        levels = attributes["levels"]
        return [None if code == _NO_VALUE else levels[code - 1] for code in value]
    if attributes and "names" in attributes:
        return dict(zip(attributes["names"], value))
    return value
