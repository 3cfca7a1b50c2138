"""TensorRT for RTX: portable engines, whose kernels are compiled when an engine is loaded."""

from __future__ import annotations

import tensorrt_rtx as trt

from runtimes.bundles.bundle import Bundle
from runtimes.bundles.manifest import Artifact
from runtimes.inference.session import Session
from runtimes.tensorrt import bundle_engine
from runtimes.tensorrt.cuda._choice import open_memory
from runtimes.tensorrt.engine_session import open_engine

__all__ = ["load", "open_memory", "read_engine", "trt", "version"]


def version() -> str:
    """Return the release; an engine runs only on the release that built it."""
    return str(trt.__version__)


def load(artifact: Artifact, model: bytes) -> Session:
    """Open an engine; see `runtimes.tensorrt.engine_session.open_engine`."""
    return open_engine(artifact, trt, model, open_memory)


def read_engine(bundle: Bundle, artifact: Artifact) -> bytes:
    """Read a bundle's engine; see `runtimes.tensorrt.bundle_engine.read`."""
    memory = open_memory(artifact.settings.options.get("memory"))
    return bundle_engine.read(bundle, trt, memory)
