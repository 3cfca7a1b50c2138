"""A GPU that is not there: memory with bounds, streams that run only when they are waited for, graphs, events.

Whoever reads a buffer before the stream was waited for, copies outside an allocation, uses what was freed, or leaves
something behind is found out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from runtimes.errors import BackendError
from runtimes.tensorrt.cuda._protocol import Pinned
from runtimes.tensors import Array


class FakeMemory:
    """See `DeviceMemory`. `done` names what ran, in order; `live` is what was not given back."""

    name, compute_capability, cuda, can_capture = "Fake GPU", "8.7", "12.6", True

    def __init__(self) -> None:
        self.allocations: dict[int, Array] = {}
        self.live: set[int] = set()
        self.queues: dict[int, list[tuple[str, Callable[[], None]]]] = {}
        self.graphs: dict[int, list[tuple[str, Callable[[], None]]]] = {}
        self.capturing: int | None = None
        self.done: list[str] = []
        self.allocated: list[str] = []
        self.limit: int | None = None
        self._next = 0x1000

    def allocate(self, nbytes: int) -> int:
        if self.limit is not None and nbytes > self.limit:
            raise BackendError("cudaMalloc failed: out of memory (2).")
        address = self._handle(nbytes)
        self.allocations[address] = np.full(nbytes, 0xEE, np.uint8)
        self.allocated.append("device")
        return address

    def free(self, address: int) -> None:
        del self.allocations[address]
        self.live.remove(address)

    def pin(self, nbytes: int) -> Pinned:
        self.allocated.append("pinned")
        return Pinned(self._handle(nbytes), np.full(nbytes, 0xEE, np.uint8))

    def unpin(self, pinned: Pinned) -> None:
        self.live.remove(pinned.address)

    def copy_in(self, address: int, pinned: Pinned, nbytes: int, stream: int) -> None:
        def copy() -> None:
            self.at(address, nbytes)[:] = pinned.array[:nbytes]

        assert pinned.address in self.live
        self.enqueue("h2d", copy, stream)

    def copy_out(self, pinned: Pinned, address: int, nbytes: int, stream: int) -> None:
        def copy() -> None:
            pinned.array[:nbytes] = self.at(address, nbytes)

        assert pinned.address in self.live
        self.enqueue("d2h", copy, stream)

    def stream(self) -> int:
        stream = self._handle()
        self.queues[stream] = []
        return stream

    def destroy_stream(self, stream: int) -> None:
        assert not self.queues.pop(stream)
        self.live.remove(stream)

    def synchronize(self, stream: int) -> None:
        assert self.capturing != stream, "a capture forbids waiting"
        queue, self.queues[stream] = self.queues[stream], []
        for what, work in queue:
            work()
            self.done.append(what)

    def event(self) -> int:
        return self._handle()

    def destroy_event(self, event: int) -> None:
        self.live.remove(event)

    def record(self, event: int, stream: int) -> None:
        assert event in self.live
        self.enqueue("event", lambda: None, stream)

    def elapsed_ms(self, start: int, end: int) -> float:
        assert not any(self.queues.values()), "an event is not over before its stream was waited for"
        return float(end - start)

    def begin_capture(self, stream: int) -> None:
        assert not self.queues[stream]
        self.capturing = stream

    def end_capture(self, stream: int) -> int:
        self.capturing = None
        graph = self._handle()
        self.graphs[graph], self.queues[stream] = self.queues[stream], []
        return graph

    def launch(self, graph: int, stream: int) -> None:
        for what, work in self.graphs[graph]:
            self.enqueue(f"graph:{what}", work, stream)

    def destroy_graph(self, graph: int) -> None:
        del self.graphs[graph]
        self.live.remove(graph)

    def at(self, address: int, nbytes: int) -> Array:
        """Memory that must be allocated, all of it."""
        allocation = self.allocations[address]
        assert nbytes <= len(allocation), "outside the allocation"
        return allocation[:nbytes]

    def enqueue(self, what: str, work: Callable[[], None], stream: int) -> None:
        self.queues[stream].append((what, work))

    def _handle(self, nbytes: int = 0) -> int:
        self._next += 0x1000 + nbytes
        self.live.add(self._next)
        return self._next
