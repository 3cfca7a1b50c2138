"""NVIDIA's own binding: the package cuda-bindings, 12 or 13."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from cuda.bindings import runtime as cuda

from runtimes.errors import BackendError, UnsupportedError
from runtimes.tensorrt.cuda._protocol import Pinned

_MAJOR = cuda.cudaDeviceAttr.cudaDevAttrComputeCapabilityMajor
_MINOR = cuda.cudaDeviceAttr.cudaDevAttrComputeCapabilityMinor
_TO_DEVICE = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
_TO_HOST = cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
_THREAD_LOCAL = cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal


def open_memory() -> CudaBindings:
    """Open the current device.

    Raises:
        UnsupportedError: there is no GPU, or no driver for it; CUDA's text is passed on.
    """
    status, count = cuda.cudaGetDeviceCount()
    if status != cuda.cudaError_t.cudaSuccess or not count:
        raise UnsupportedError(
            f"There is no NVIDIA GPU to run on: {_text(status) if not count else 'none is visible'}."
        )
    return CudaBindings()


class CudaBindings:
    """A `DeviceMemory` by cuda-bindings."""

    can_capture = True

    def __init__(self) -> None:
        device = _call(cuda.cudaGetDevice)
        major, minor = (_call(cuda.cudaDeviceGetAttribute, which, device) for which in (_MAJOR, _MINOR))
        properties = _call(cuda.cudaGetDeviceProperties, device)
        version = _call(cuda.cudaRuntimeGetVersion)  # 13020 is 13.2
        self.compute_capability = f"{major}.{minor}"
        self.name = properties.name.decode(errors="replace").rstrip("\0")
        self.cuda = f"{version // 1000}.{version % 1000 // 10}"

    def allocate(self, nbytes: int) -> int:
        return int(_call(cuda.cudaMalloc, max(nbytes, 1)))

    def free(self, address: int) -> None:
        _call(cuda.cudaFree, address)

    def pin(self, nbytes: int) -> Pinned:
        size = max(nbytes, 1)
        address = int(_call(cuda.cudaHostAlloc, size, 0))
        array = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
        return Pinned(address, array)

    def unpin(self, pinned: Pinned) -> None:
        _call(cuda.cudaFreeHost, pinned.address)

    def copy_in(self, address: int, pinned: Pinned, nbytes: int, stream: int) -> None:
        _call(cuda.cudaMemcpyAsync, address, pinned.address, nbytes, _TO_DEVICE, stream)

    def copy_out(self, pinned: Pinned, address: int, nbytes: int, stream: int) -> None:
        _call(cuda.cudaMemcpyAsync, pinned.address, address, nbytes, _TO_HOST, stream)

    def stream(self) -> int:
        return int(_call(cuda.cudaStreamCreateWithFlags, cuda.cudaStreamNonBlocking))

    def destroy_stream(self, stream: int) -> None:
        _call(cuda.cudaStreamDestroy, stream)

    def synchronize(self, stream: int) -> None:
        _call(cuda.cudaStreamSynchronize, stream)

    def event(self) -> int:
        return int(_call(cuda.cudaEventCreate))

    def destroy_event(self, event: int) -> None:
        _call(cuda.cudaEventDestroy, event)

    def record(self, event: int, stream: int) -> None:
        _call(cuda.cudaEventRecord, event, stream)

    def elapsed_ms(self, start: int, end: int) -> float:
        return float(_call(cuda.cudaEventElapsedTime, start, end))

    def begin_capture(self, stream: int) -> None:
        _call(cuda.cudaStreamBeginCapture, stream, _THREAD_LOCAL)

    def end_capture(self, stream: int) -> int:
        graph = _call(cuda.cudaStreamEndCapture, stream)
        executable = _call(cuda.cudaGraphInstantiate, graph, 0)
        _call(cuda.cudaGraphDestroy, graph)
        return int(executable)

    def launch(self, graph: int, stream: int) -> None:
        _call(cuda.cudaGraphLaunch, graph, stream)

    def destroy_graph(self, graph: int) -> None:
        _call(cuda.cudaGraphExecDestroy, graph)


def _call(function: Any, *arguments: Any) -> Any:
    """Call CUDA and return its value; raise BackendError for an error status."""
    status, *values = function(*arguments)
    if status != cuda.cudaError_t.cudaSuccess:
        raise BackendError(f"{function.__name__} failed: {_text(status)}.")
    return values[0] if values else None


def _text(status: Any) -> str:
    _, text = cuda.cudaGetErrorString(status)
    return f"{text.decode()} ({int(status)})"
