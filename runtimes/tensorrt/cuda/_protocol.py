"""What every binding offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from runtimes.tensors import Array


@dataclass(frozen=True)
class Pinned:
    """Page-locked host memory, which copies to and from the device do not have to stage.

    Attributes:
        array: the bytes, uint8[n].
        handle: what the binding frees it by.
    """

    address: int
    array: Array
    handle: Any = None


class DeviceMemory(Protocol):
    """One GPU. Addresses, streams, events and graphs are what CUDA's own calls take.

    Every method raises BackendError with CUDA's text where CUDA fails.
    """

    name: str
    compute_capability: str
    cuda: str
    can_capture: bool
    """Whether `begin_capture` and what follows it are there."""

    def allocate(self, nbytes: int) -> int:
        """Memory on the device; its address."""

    def free(self, address: int) -> None:
        """Give `allocate`d memory back."""

    def pin(self, nbytes: int) -> Pinned:
        """Page-locked memory on the host."""

    def unpin(self, pinned: Pinned) -> None:
        """Give `pin`ned memory back."""

    def copy_in(self, address: int, pinned: Pinned, nbytes: int, stream: int) -> None:
        """Enqueue a copy from the host to the device."""

    def copy_out(self, pinned: Pinned, address: int, nbytes: int, stream: int) -> None:
        """Enqueue a copy from the device to the host."""

    def stream(self) -> int:
        """A stream that waits for no other."""

    def destroy_stream(self, stream: int) -> None:
        """Give a stream back."""

    def synchronize(self, stream: int) -> None:
        """Wait until everything enqueued is done."""

    def event(self) -> int:
        """An event that keeps time."""

    def destroy_event(self, event: int) -> None:
        """Give an event back."""

    def record(self, event: int, stream: int) -> None:
        """Enqueue an event."""

    def elapsed_ms(self, start: int, end: int) -> float:
        """Time between two events that are over."""

    def begin_capture(self, stream: int) -> None:
        """Record what is enqueued from now on, instead of running it."""

    def end_capture(self, stream: int) -> int:
        """Stop recording; a graph that can be launched."""

    def launch(self, graph: int, stream: int) -> None:
        """Enqueue a graph."""

    def destroy_graph(self, graph: int) -> None:
        """Give a graph back."""
