"""Frames that arrive as they were sent, in pieces, too, or not at all."""

from __future__ import annotations

import asyncio
import socket

from hypothesis import given
from hypothesis import strategies as st

from runtimes.serving import frames
from runtimes.serving.frames import Frame

NUMBERS = st.integers(0, 2**64 - 1)
FRAMES = st.builds(Frame, NUMBERS, st.integers(0, 599), st.binary(max_size=50), st.none() | st.just(3))


@given(st.lists(FRAMES, max_size=5), st.integers(0, 30))
def test_both_sides_read_what_was_sent_and_no_half_of_one(sent: list[Frame], cut: int) -> None:
    stream = b"".join(frame.head() + frame.content for frame in sent)
    half = Frame(1, 200, b"content").head()[:cut]

    async def read_all() -> list[Frame]:
        reader = asyncio.StreamReader()
        reader.feed_data(stream + half)
        reader.feed_eof()
        return [frame async for frame in _until_gone(reader)]

    ours, theirs = socket.socketpair()
    with ours, theirs:
        for frame in sent:
            frames.send(ours, frame)
        ours.sendall(half)
        ours.close()
        assert list(iter(lambda: frames.receive(theirs), None)) == sent
    assert asyncio.run(read_all()) == sent


def test_a_side_that_went_without_reading_everything_is_gone() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        frames.send(theirs, Frame(1, 200))
        ours.close()  # which resets the connection
        assert frames.receive(theirs) is None


async def _until_gone(reader: asyncio.StreamReader):  # type: ignore[no-untyped-def]
    while (frame := await frames.read(reader)) is not None:
        yield frame
