"""TensorRT for RTX: portable engines, whose kernels are compiled when they are loaded."""

from __future__ import annotations

import tensorrt_rtx as trt

from runtimes.artifact import Artifact
from runtimes.devicememory._choice import open_memory
from runtimes.engines.session import EngineSession, check_options
from runtimes.session import Session

__all__ = ["load", "open_memory", "trt", "version"]


def version() -> str:
    """The release, which an engine must have been built with."""
    return str(trt.__version__)


def load(artifact: Artifact, model: bytes) -> Session:
    """Open an engine. The GPU is asked for first: without a driver, TensorRT's own answer can be a crash.

    Settings: options `cuda_graph` (auto, off) and `memory` (cuda-bindings, pycuda); `threads` mean nothing here.

    Raises:
        UsageError: an option is unknown or has an unknown value.
        NotInstalledError: neither cuda-bindings nor pycuda is installed.
        UnsupportedError: there is no GPU or no driver.
        BackendError: TensorRT refuses the engine; its own text is passed on.
    """
    check_options(artifact.settings.options)
    memory = open_memory(artifact.settings.options.get("memory"))
    return EngineSession(artifact, trt, model, memory)
