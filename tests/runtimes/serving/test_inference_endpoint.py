"""The path of inferences, asked as a server asks it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra `serve` is not installed")

from runtimes.serving.frames import Frame
from runtimes.serving.inference_endpoint import InferenceEndpoint
from runtimes.serving.limits import Limits


class Answering:
    """A worker whose answers are large."""

    async def ask(self, code: int, content: bytes, json_bytes: int | None) -> Frame:
        return Frame(1, 200, bytes(1 << 26))


def test_a_client_that_takes_its_answer_ever_so_slowly_does_not_keep_its_place() -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        await asyncio.sleep(0.05)
        sent.append(message)

    async def ask() -> None:
        endpoint = InferenceEndpoint(Answering(), Limits(request_s=0.3, idle_s=10))  # type: ignore[arg-type]
        scope = {"type": "http", "headers": [(b"content-length", b"2")]}
        await endpoint(scope, receive, send)  # type: ignore[arg-type]

    asyncio.run(ask())
    assert [message["type"] for message in sent[:2]] == ["http.response.start", "http.response.body"]
    assert sent[-1]["more_body"]  # it gave up
