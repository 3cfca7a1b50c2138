"""Connections, limited in number and in time: uvicorn knows no limit of half-sent headers, nor of unread answers."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from runtimes.serving.limits import Limits

_READ_BYTES = 64 << 10  # read at once, and parsed before another connection has its turn


class Connection(H11Protocol):
    """A connection that knows since when it has waited for its client.

    uvicorn makes one per client. While a request is read, answered and sent, `InferenceEndpoint` counts the time.
    """

    limits = Limits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Make room for this connection if there are too many."""
        super().connection_made(transport)
        # asyncio reads up to 256 KiB, and thousands of headers or chunks fit into that.
        setattr(transport, "max_size", _READ_BYTES)  # noqa: B010  # an attribute that the type does not declare
        self._seen: Any = None
        self._since_s = self.loop.time()
        if len(self.connections) > self.limits.connections:
            others = [other for other in self.connections if isinstance(other, Connection) and other is not self]
            waiting = [other for other in others if other.is_waiting()]
            closed = min(waiting, key=lambda other: other._since_s) if waiting else self
            closed.transport.abort()
            self.connections.discard(closed)  # uvicorn does so only after others that came at the same moment

    def is_waiting(self) -> bool:
        """Tell whether the next step is the client's: to send headers, or to read the end of an answer."""
        return self.cycle is None or self.cycle.response_complete or self.transport.is_closing()

    def check(self) -> None:
        """Close the connection if its client takes too long."""
        if not self.is_waiting() or self.cycle is not self._seen:
            self._seen, self._since_s = self.cycle, self.loop.time()
        elif self.loop.time() - self._since_s > self.limits.idle_s:
            self.transport.abort()


async def check_often(connections: set[Any], limits: Limits) -> None:
    """Check all connections time and again, until this is cancelled."""
    while True:
        await asyncio.sleep(min(1.0, limits.idle_s / 4))
        for connection in list(connections):
            connection.check()
