"""PyCUDA, the binding that many Jetsons have. It cannot capture graphs."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import pycuda.driver as cuda

from runtimes.errors import BackendError, UnsupportedError
from runtimes.tensorrt.cuda._protocol import Pinned


def open_memory() -> PyCuda:
    """Open the first device in its primary context, which TensorRT in this process uses, too.

    Raises:
        UnsupportedError: there is no GPU, or no driver for it; CUDA's text is passed on.
    """
    try:
        cuda.init()
        if cuda.Device.count() == 0:
            raise UnsupportedError("There is no NVIDIA GPU to run on: none is visible.")
        return PyCuda(cuda.Device(0))
    except cuda.Error as error:
        raise UnsupportedError(f"There is no NVIDIA GPU to run on: {error}.") from None


class PyCuda:
    """A `DeviceMemory` by PyCUDA, which frees objects without references, so that this class holds them by address."""

    can_capture = False

    def __init__(self, device: Any) -> None:
        # pycuda.autoinit would make a second context, and TensorRT's memory would lie in the first one.
        self._context = device.retain_primary_context()
        self._context.push()
        self.name = str(device.name())
        self.compute_capability = ".".join(map(str, device.compute_capability()))
        self.cuda = ".".join(map(str, cuda.get_version()[:2]))
        self._kept: dict[int, Any] = {}

    def allocate(self, nbytes: int) -> int:
        memory = _call(cuda.mem_alloc, max(nbytes, 1))
        return self._keep(int(memory), memory)

    def free(self, address: int) -> None:
        _call(self._kept.pop(address).free)

    def pin(self, nbytes: int) -> Pinned:
        array = _call(cuda.pagelocked_empty, max(nbytes, 1), np.uint8)
        return Pinned(int(array.ctypes.data), array, array.base)

    def unpin(self, pinned: Pinned) -> None:
        _call(pinned.handle.free)

    def copy_in(self, address: int, pinned: Pinned, nbytes: int, stream: int) -> None:
        _call(cuda.memcpy_htod_async, address, pinned.array[:nbytes], self._kept[stream])

    def copy_out(self, pinned: Pinned, address: int, nbytes: int, stream: int) -> None:
        _call(cuda.memcpy_dtoh_async, pinned.array[:nbytes], address, self._kept[stream])

    def stream(self) -> int:
        stream = _call(cuda.Stream)
        return self._keep(int(stream.handle), stream)

    def destroy_stream(self, stream: int) -> None:
        del self._kept[stream]

    def synchronize(self, stream: int) -> None:
        _call(self._kept[stream].synchronize)

    def event(self) -> int:
        event = _call(cuda.Event)
        return self._keep(id(event), event)

    def destroy_event(self, event: int) -> None:
        del self._kept[event]

    def record(self, event: int, stream: int) -> None:
        _call(self._kept[event].record, self._kept[stream])

    def elapsed_ms(self, start: int, end: int) -> float:
        return float(_call(self._kept[end].time_since, self._kept[start]))

    def begin_capture(self, stream: int) -> None:
        _no_graphs()

    def end_capture(self, stream: int) -> int:
        _no_graphs()

    def launch(self, graph: int, stream: int) -> None:
        _no_graphs()

    def destroy_graph(self, graph: int) -> None:
        _no_graphs()

    def _keep(self, handle: int, thing: Any) -> int:
        self._kept[handle] = thing
        return handle


def _no_graphs() -> NoReturn:
    raise UnsupportedError("PyCUDA cannot capture CUDA graphs; install cuda-bindings.")


def _call(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except cuda.Error as error:
        raise BackendError(f"{getattr(function, '__name__', function)} failed: {error}.") from error
