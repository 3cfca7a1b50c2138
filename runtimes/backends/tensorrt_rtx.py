"""TensorRT for RTX: portable engines, whose kernels are compiled when they are loaded."""

from __future__ import annotations

import tensorrt_rtx as trt

from runtimes.artifact import Artifact
from runtimes.devicememory._choice import open_memory
from runtimes.engines.session import open_engine
from runtimes.session import Session

__all__ = ["load", "open_memory", "trt", "version"]


def version() -> str:
    """The release, which an engine must have been built with."""
    return str(trt.__version__)


def load(artifact: Artifact, model: bytes) -> Session:
    """See `runtimes.engines.session.open_engine`."""
    return open_engine(artifact, trt, model, open_memory)
