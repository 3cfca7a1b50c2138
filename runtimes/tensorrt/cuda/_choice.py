"""The choice of a binding of CUDA."""

from __future__ import annotations

import typing

from runtimes import plugins
from runtimes.errors import NotInstalledError
from runtimes.tensorrt.cuda._protocol import DeviceMemory

_PACKAGE = "runtimes.tensorrt.cuda"
_ORDER = ("cuda-bindings", "pycuda")  # the first also captures graphs


def open_memory(name: str | None = None) -> DeviceMemory:
    """Open the first GPU through the named binding, or through the first binding that is installed.

    Raises:
        UsageError: there is no binding of that name.
        NotInstalledError: no binding is installed.
        UnsupportedError: there is no GPU, or no driver for it.
    """
    for binding in (name,) if name else _ORDER:
        try:
            module = plugins.load(_PACKAGE, binding, "device memory")
        except NotInstalledError:
            if name:
                raise
            continue
        return typing.cast(DeviceMemory, module.open_memory())
    raise NotInstalledError(
        "Running an engine needs cuda-bindings or pycuda; install one with: pip install 'edgewright[tensorrt]' or "
        "'edgewright[pycuda]'"
    )
