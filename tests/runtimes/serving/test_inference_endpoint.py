"""The path of inferences, asked as a server asks it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra `serve` is not installed")

from runtimes.serving.frames import Frame
from runtimes.serving.inference_endpoint import InferenceEndpoint
from runtimes.serving.limits import Limits
from runtimes.serving.request_body import Arrivals, Body


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


def test_bodies_hold_no_more_than_their_room() -> None:
    """Each client sends half of its body, and then waits. What finds no room is read when its request has a place."""
    limits = Limits(requests=1, waiting=8, request_bytes=10, request_s=5)

    async def run() -> list[int]:
        go_on, sizes = asyncio.Event(), []
        arrivals = Arrivals(limits)

        def client(first: bytes, rest: bytes) -> Body:
            messages = iter((first, rest))

            async def receive() -> dict[str, Any]:
                if (part := next(messages)) is rest:
                    await go_on.wait()
                return {"type": "http.request", "body": part, "more_body": part is first}

            return Body(receive, limits)

        bodies = [client(b"a" * 5, b"b" * 5), client(b"c" * 5, b"d" * 5), client(b"e" * 5, b"f" * 5)]
        reading = [asyncio.ensure_future(arrivals.read(body)) for body in bodies]
        await asyncio.wait(reading[1:])
        sizes.append(sum(len(body.content) for body in bodies))
        go_on.set()
        await asyncio.gather(*reading)
        sizes += [len(body.content) for body in bodies]
        for body in bodies:
            await body.read_all()
        sizes += [len(body.content) for body in bodies]
        for body in bodies:
            arrivals.release(body)
        sizes.append(arrivals._room_bytes)
        return sizes

    assert asyncio.run(run()) == [15, 10, 5, 5, 10, 10, 10, 10]  # each may be a chunk beyond


def test_each_body_beyond_the_number_that_may_arrive_displaces_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtimes.serving.request_body._SLOW_S", 0.0)
    limits = Limits(requests=1, waiting=2, request_s=5)

    async def run() -> list[str]:
        arrivals = Arrivals(limits)

        async def never() -> dict[str, Any]:
            await asyncio.Event().wait()
            return {}

        async def at_once() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        slow = [asyncio.ensure_future(arrivals.read(Body(never, limits))) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.gather(*(arrivals.read(Body(at_once, limits)) for _ in range(2)))
        done, _ = await asyncio.wait(slow, timeout=0.2)
        for task in slow:
            task.cancel()
        return [str(task.exception()) for task in slow if task in done]

    assert asyncio.run(run()) == ["The request arrived so slowly that others took its place."] * 2
