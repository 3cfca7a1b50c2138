"""The path of inferences: a request is read, waits for its turn, is answered and sent, each within a limit of time."""

from __future__ import annotations

import asyncio
import json

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from runtimes.serving import frames
from runtimes.serving.frames import Frame
from runtimes.serving.limits import Limits
from runtimes.serving.request_body import Arrivals, Body, RefusedError, within
from runtimes.serving.worker import Worker, WorkerGoneError

_SENT_BYTES = 256 << 10  # sent at once; a slow reader holds no more than this in memory, and its place


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
        self._arrivals = Arrivals(limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        body = Body(receive, self._limits)
        try:
            json_bytes = self._json_bytes(Headers(scope=scope))
            self._check_crowd()  # before any byte is read, and again when all are
            try:
                await self._arrivals.read(body)
                if not body.is_gone:
                    await self._answer(body, send, json_bytes)
            finally:
                self._arrivals.release(body)
        except RefusedError as refused:
            await self._send(send, _error(refused))

    def _check_crowd(self) -> None:
        if self._present >= self._limits.requests + self._limits.waiting:
            raise RefusedError(503, "Too many requests wait already; try again.")

    async def _answer(self, body: Body, send: Send, json_bytes: int | None) -> None:
        limit_s = self._limits.request_s
        self._check_crowd()
        self._present += 1
        try:
            await within(limit_s, self._places.acquire(), RefusedError(503, "No place became free; try again."))
            try:
                await within(limit_s, body.read_all(), RefusedError(408, "The request did not arrive in time."))
                if not body.is_gone:
                    await self._send(send, await self._infer(body.content, json_bytes))
            finally:
                self._places.release()
        finally:
            self._present -= 1

    def _json_bytes(self, headers: Headers) -> int | None:
        """Read the number of bytes of JSON that the headers declare; None if all are.

        Raises:
            RefusedError: they declare too many, or none at all.
        """
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
        return json_bytes

    async def _infer(self, body: bytes, json_bytes: int | None) -> Frame:
        late = RefusedError(504, f"The inference took more than {self._limits.request_s:g} s and was ended.")
        try:
            return await within(self._limits.request_s, self._worker.ask(frames.INFER, body, json_bytes), late)
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


def _error(refused: RefusedError) -> Frame:
    return Frame(0, refused.status, json.dumps({"error": str(refused)}).encode())
