"""Backends: each module runs models on one runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from runtimes import plugins

if TYPE_CHECKING:
    from runtimes.bundles.bundle import Bundle
    from runtimes.bundles.manifest import Artifact
    from runtimes.inference.session import Session
    from runtimes.tensorrt.cuda._protocol import DeviceMemory


class Backend(Protocol):
    """The functions that each module of this folder offers."""

    def version(self) -> str:
        """Return the runtime's version."""

    def load(self, artifact: Artifact, model: bytes) -> Session:
        """Open an artifact.

        Args:
            artifact: describes the model.
            model: the bytes of its file.

        Raises:
            BackendError: the runtime refuses the model; its own text is passed on.
            UnsupportedError: this machine or this build of the runtime cannot run it.
            UsageError: an option is unknown or has an unknown value.
        """


class EngineBackend(Backend, Protocol):
    """A backend that runs TensorRT engines.

    Attributes:
        trt: the module `tensorrt` or `tensorrt_rtx`.
    """

    trt: Any

    def open_memory(self, binding: str | None = None) -> DeviceMemory:
        """Open the first GPU's memory.

        Raises:
            NotInstalledError: no binding of CUDA is installed.
            UnsupportedError: there is no GPU.
        """

    def read_engine(self, bundle: Bundle, artifact: Artifact) -> bytes:
        """Read the engine that this device compiled from a bundle.

        Raises:
            UnsupportedError: there is no GPU, or the bundle was not compiled yet; says how to compile it.
            UsageError: the engine was compiled by another TensorRT, for another GPU, or from another bundle.
        """


def backend(runtime: str) -> Backend:
    """Load the backend of a runtime.

    Raises:
        UsageError: there is no such runtime; lists the existing ones.
        NotInstalledError: its package is missing; says how to install it.
    """
    return cast(Backend, plugins.load(__name__, runtime, "runtime"))


def engine_backend(runtime: str) -> EngineBackend:
    """Load the backend of "tensorrt" or "tensorrt-rtx"."""
    return cast(EngineBackend, backend(runtime))
