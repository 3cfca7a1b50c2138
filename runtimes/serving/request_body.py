"""Bodies of requests: bytes that arrive as fast as a client sends them, many bodies at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.types import Receive

from runtimes.serving.limits import Limits

T = TypeVar("T")

_SLOW_S = 1.0  # by then, the body of a client that does not wait has arrived


class RefusedError(Exception):
    """A request that is not answered; holds the HTTP status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


async def within(limit_s: float, work: Awaitable[T], late: RefusedError) -> T:
    """Wait for some work.

    Raises:
        RefusedError: `late`, if it takes longer.
    """
    try:
        return await asyncio.wait_for(work, limit_s)
    except asyncio.TimeoutError:
        raise late from None


class Body:
    """The body of one request, of which some may have arrived.

    Args:
        receive: gives ASGI's messages.
        limits: the limits of time.
    """

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive, self._limits = receive, limits
        self._chunks: list[bytes] = []
        self.held_bytes = 0  # of `Arrivals`' room
        self.is_whole = False
        self.is_gone = False

    @property
    def content(self) -> bytes:
        """The bytes that have arrived."""
        return b"".join(self._chunks)

    async def read_chunk(self) -> int:
        """Wait for some bytes, the end, or the client's leaving; return the number of bytes.

        Raises:
            RefusedError: the client is silent for too long.
        """
        late = RefusedError(408, "The request's body stopped half-way.")
        message = await within(self._limits.idle_s, self._receive(), late)
        if message["type"] == "http.disconnect":
            self.is_gone = True
            return 0
        self._chunks.append(message.get("body", b""))
        self.is_whole = not message.get("more_body", False)
        return len(self._chunks[-1])

    async def read_all(self) -> None:
        """Wait for the rest."""
        while not self.is_whole and not self.is_gone:
            await self.read_chunk()


@dataclass(frozen=True, eq=False)
class _Arrival:
    """A body that arrives."""

    since_s: float
    displaced: asyncio.Event = field(default_factory=asyncio.Event)


class Arrivals:
    """The bodies that arrive before their requests have places, so that slow ones take none from the others.

    Together they may hold as many bytes as requests with places, and a chunk each; one that finds no room waits for a
    place, and has its rest read there. If too many arrive, the one that has done so for longest is refused, unless all
    came just now; then the last one is.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._room_bytes = limits.requests * limits.request_bytes
        self._arriving: list[_Arrival] = []

    async def read(self, body: Body) -> None:
        """Read a body to its end, or until there is no room for more.

        Raises:
            RefusedError: it came too slowly, or with too many others.
        """
        now_s = asyncio.get_running_loop().time()
        if len(self._arriving) >= self._limits.requests + self._limits.waiting:
            longest = self._arriving[0]
            if now_s - longest.since_s < min(_SLOW_S, self._limits.idle_s):
                raise RefusedError(503, "Too many requests arrive at once; try again.")
            longest.displaced.set()
            self._arriving.remove(longest)  # now, so that the next one displaces another
        self._arriving.append(arrival := _Arrival(now_s))
        reading, displacing = asyncio.ensure_future(self._read(body)), asyncio.ensure_future(arrival.displaced.wait())
        try:
            done, _ = await asyncio.wait(
                (reading, displacing), timeout=self._limits.request_s, return_when=asyncio.FIRST_COMPLETED
            )
            if reading in done:
                reading.result()
            elif displacing in done:
                raise RefusedError(408, "The request arrived so slowly that others took its place.")
            else:
                raise RefusedError(408, "The request did not arrive in time.")
        finally:
            if not arrival.displaced.is_set():
                self._arriving.remove(arrival)
            reading.cancel()
            displacing.cancel()

    def release(self, body: Body) -> None:
        """Free the room that a body holds, since its request has ended."""
        self._room_bytes += body.held_bytes
        body.held_bytes = 0

    async def _read(self, body: Body) -> None:
        while not body.is_whole and not body.is_gone and self._room_bytes > 0:
            arrived = await body.read_chunk()
            self._room_bytes -= arrived
            body.held_bytes += arrived
