"""The interface of every binding of CUDA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from runtimes.tensors import Array


@dataclass(frozen=True)
class Pinned:
    """Page-locked host memory, from and to which a GPU copies directly.

    Attributes:
        address: address of the first byte.
        array: the bytes, uint8[n].
        handle: the binding's object that frees the memory.
    """

    address: int
    array: Array
    handle: Any = None


class DeviceMemory(Protocol):
    """One GPU. Addresses, streams, events and graphs are the numbers that CUDA's own calls take.

    Every method raises BackendError with CUDA's text if CUDA fails.

    Attributes:
        name: the card's name.
        compute_capability: such as "8.7".
        cuda: version of the CUDA runtime.
        can_capture: whether the binding captures graphs.
    """

    name: str
    compute_capability: str
    cuda: str
    can_capture: bool

    def allocate(self, nbytes: int) -> int:
        """Allocate memory on the device; return its address."""

    def free(self, address: int) -> None:
        """Free memory that `allocate` returned."""

    def pin(self, nbytes: int) -> Pinned:
        """Allocate page-locked memory on the host."""

    def unpin(self, pinned: Pinned) -> None:
        """Free memory that `pin` returned."""

    def copy_in(self, address: int, pinned: Pinned, nbytes: int, stream: int) -> None:
        """Enqueue a copy from the host to the device."""

    def copy_out(self, pinned: Pinned, address: int, nbytes: int, stream: int) -> None:
        """Enqueue a copy from the device to the host."""

    def stream(self) -> int:
        """Create a stream that waits for no other stream."""

    def destroy_stream(self, stream: int) -> None:
        """Destroy a stream."""

    def synchronize(self, stream: int) -> None:
        """Wait until all work enqueued on a stream is done."""

    def event(self) -> int:
        """Create an event that records its time."""

    def destroy_event(self, event: int) -> None:
        """Destroy an event."""

    def record(self, event: int, stream: int) -> None:
        """Enqueue an event."""

    def elapsed_ms(self, start: int, end: int) -> float:
        """Return the time in ms between two events that have occurred."""

    def begin_capture(self, stream: int) -> None:
        """Start to capture the work enqueued on a stream, instead of running it."""

    def end_capture(self, stream: int) -> int:
        """End the capture; return a graph that can be launched."""

    def launch(self, graph: int, stream: int) -> None:
        """Enqueue a captured graph."""

    def destroy_graph(self, graph: int) -> None:
        """Destroy a graph."""
