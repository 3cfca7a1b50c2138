"""Frames: what the server and its worker say to each other over a socket, requests one way and answers the other."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass

_HEAD = struct.Struct("<QiqQ")  # id, code, bytes of JSON or -1, bytes that follow

INFER = 0
"""The code of a request for an inference; its content is the body of an HTTP request."""
METRICS = 1
"""The code of a request for the metrics; it has no content."""


@dataclass(frozen=True)
class Frame:
    """A request or an answer.

    Attributes:
        id: number of the request; its answer has the same. 0 is the worker's first frame, after it loaded.
        code: `INFER` or `METRICS`, or the HTTP status of an answer.
        content: the bytes of the body.
        json_bytes: number of these bytes that are JSON, if raw bytes follow; None for all.
    """

    id: int
    code: int
    content: bytes = b""
    json_bytes: int | None = None

    def head(self) -> bytes:
        """Return the bytes that are sent before the content."""
        json_bytes = -1 if self.json_bytes is None else self.json_bytes
        return _HEAD.pack(self.id, self.code, json_bytes, len(self.content))


async def read(reader: asyncio.StreamReader) -> Frame | None:
    """Read the next frame; None if the other side is gone."""
    try:
        head = _HEAD.unpack(await reader.readexactly(_HEAD.size))
        return _frame(head, await reader.readexactly(head[3]))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def receive(connection: socket.socket) -> Frame | None:
    """Wait for the next frame; None if the other side is gone."""
    try:
        head = _HEAD.unpack(_exactly(connection, _HEAD.size))
        return _frame(head, _exactly(connection, head[3]))
    except (EOFError, ConnectionError):  # it is reset if it went without reading all answers
        return None


def send(connection: socket.socket, frame: Frame) -> None:
    """Send a frame, and wait until the other side took it."""
    connection.sendall(frame.head())
    connection.sendall(frame.content)


def _frame(head: tuple[int, int, int, int], content: bytes) -> Frame:
    number, code, json_bytes, _ = head
    return Frame(number, code, content, None if json_bytes < 0 else json_bytes)


def _exactly(connection: socket.socket, count: int) -> bytes:
    content = bytearray(count)
    rest = memoryview(content)
    while rest:
        received = connection.recv_into(rest)
        if received == 0:
            raise EOFError
        rest = rest[received:]
    return bytes(content)
