"""The path of inferences: a request waits for its turn, is read, answered and sent, each within a limit of time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import TypeVar

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from runtimes.serving import frames
from runtimes.serving.frames import Frame
from runtimes.serving.limits import Limits
from runtimes.serving.worker import Worker, WorkerGoneError

T = TypeVar("T")

_SENT_BYTES = 256 << 10  # sent at once; a slow reader holds no more than this in memory, and its place


class RefusedError(Exception):
    """A request that is not answered; holds the HTTP status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class InferenceEndpoint:
    """An ASGI application for one path.

    Args:
        worker: answers the requests.
        limits: the limits, those of bytes lowered to what the model can need.
    """

    def __init__(self, worker: Worker, limits: Limits) -> None:
        self._worker, self._limits = worker, limits
        self._places = asyncio.Semaphore(limits.requests)
        self._present = 0  # requests that run or wait

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        try:
            content_bytes, json_bytes = self._sizes(Headers(scope=scope))
            if self._present >= self._limits.requests + self._limits.waiting:
                raise RefusedError(503, "Too many requests wait already; try again.")
        except RefusedError as refused:
            await self._send(send, _error(refused))
            return
        self._present += 1
        try:
            await self._answer(receive, send, content_bytes, json_bytes)
        finally:
            self._present -= 1

    async def _answer(self, receive: Receive, send: Send, content_bytes: int, json_bytes: int | None) -> None:
        limit_s = self._limits.request_s
        try:
            await _within(limit_s, self._places.acquire(), RefusedError(503, "No place became free; try again."))
        except RefusedError as refused:
            await self._send(send, _error(refused))
            return
        try:
            late = RefusedError(408, "The request did not arrive in time.")
            body = await _within(limit_s, self._body(receive, content_bytes), late)
            if body is not None:
                await self._send(send, await self._infer(body, json_bytes))
        except RefusedError as refused:
            await self._send(send, _error(refused))
        finally:
            self._places.release()

    def _sizes(self, headers: Headers) -> tuple[int, int | None]:
        """Read the numbers of bytes that the headers declare: all, and those of JSON."""
        whole, text = headers.get("content-length"), headers.get("inference-header-content-length")
        if whole is None or not whole.isdecimal():
            raise RefusedError(411, "A request needs a Content-Length.")
        # Ten digits hold more than the largest request; int() refuses a text of thousands of digits.
        content_bytes = int(whole) if len(whole) <= 10 else 10**10
        json_bytes = int(text[:10]) if text is not None and text.isdecimal() else None
        if content_bytes > self._limits.request_bytes:
            raise RefusedError(413, f"A request has {self._limits.request_bytes:,} bytes at most.")
        if (content_bytes if json_bytes is None else json_bytes) > self._limits.json_bytes:
            raise RefusedError(
                413,
                f"A request has {self._limits.json_bytes:,} bytes of JSON at most; send large tensors as raw bytes "
                "(the extension `binary_tensor_data`).",
            )
        return content_bytes, json_bytes

    async def _body(self, receive: Receive, content_bytes: int) -> bytes | None:
        """Read the request's bytes; None if the client left."""
        chunks, more = [], True
        while more:
            message = await _within(
                self._limits.idle_s, receive(), RefusedError(408, "The request's body stopped half-way.")
            )
            if message["type"] == "http.disconnect":
                return None
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        return b"".join(chunks)

    async def _infer(self, body: bytes, json_bytes: int | None) -> Frame:
        late = RefusedError(504, f"The inference took more than {self._limits.request_s:g} s and was ended.")
        try:
            return await _within(self._limits.request_s, self._worker.ask(frames.INFER, body, json_bytes), late)
        except WorkerGoneError as gone:
            raise RefusedError(503, str(gone)) from None
        except RefusedError:
            self._worker.kill()  # nothing else stops a runtime's threads
            raise

    async def _send(self, send: Send, answer: Frame) -> None:
        """Send an answer piece by piece; give up if the client does not take them in time."""
        media = b"application/json" if answer.json_bytes is None else b"application/octet-stream"
        headers = [(b"content-type", media), (b"content-length", str(len(answer.content)).encode())]
        if answer.json_bytes is not None:
            headers.append((b"inference-header-content-length", str(answer.json_bytes).encode()))
        if answer.code == 503:
            headers.append((b"retry-after", b"1"))
        if answer.code in (408, 411):
            headers.append((b"connection", b"close"))  # the rest of the body is not waited for
        await send({"type": "http.response.start", "status": answer.code, "headers": headers})
        clock = asyncio.get_running_loop().time
        deadline_s = clock() + self._limits.request_s
        for start in range(0, max(1, len(answer.content)), _SENT_BYTES):
            piece, end = answer.content[start : start + _SENT_BYTES], start + _SENT_BYTES
            message = {"type": "http.response.body", "body": piece, "more_body": end < len(answer.content)}
            try:
                await asyncio.wait_for(send(message), min(self._limits.idle_s, deadline_s - clock()))
            except asyncio.TimeoutError:
                return


async def _within(limit_s: float, work: Awaitable[T], late: RefusedError) -> T:
    try:
        return await asyncio.wait_for(work, limit_s)
    except asyncio.TimeoutError:
        raise late from None


def _error(refused: RefusedError) -> Frame:
    return Frame(0, refused.status, json.dumps({"error": str(refused)}).encode())
