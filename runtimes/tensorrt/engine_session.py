"""The session of an engine: it has a stream and buffers of its own, and allocates nothing while it runs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runtimes.bundles.manifest import Artifact
from runtimes.errors import BackendError, UsageError
from runtimes.inference.session import Session
from runtimes.tensorrt.buffers import Buffers, Shapes
from runtimes.tensorrt.cuda._protocol import DeviceMemory
from runtimes.tensorrt.logger import last_errors, logger
from runtimes.tensors import Array, Feeds

OPTIONS = {"cuda_graph": ("auto", "off"), "memory": ("cuda-bindings", "pycuda")}
"""The options in `RuntimeSettings.options` and their values."""


@dataclass(frozen=True)
class DeviceTimes:
    """Times of one inference's parts in ms: copies and compute by CUDA events, enqueueing by this thread's clock."""

    h2d_ms: float
    compute_ms: float
    d2h_ms: float
    enqueue_ms: float


def check_options(options: Mapping[str, str]) -> None:
    """Check that engines have these options.

    Raises:
        UsageError: an option or its value is unknown; lists the existing ones.
    """
    for name, value in options.items():
        if value not in OPTIONS.get(name, ()):
            known = " or ".join(f"{name}={'|'.join(values)}" for name, values in OPTIONS.items())
            raise UsageError(f"TensorRT has no option {name}={value}; choose {known}.")


def open_engine(
    artifact: Artifact, trt: Any, model: bytes, open_memory: Callable[[str | None], DeviceMemory]
) -> EngineSession:
    """Open an engine. The GPU is opened first, since TensorRT may crash without a driver.

    Settings: options `cuda_graph` (auto, off) and `memory` (cuda-bindings, pycuda); `threads` has no effect.

    Raises:
        UsageError: an option is unknown or has an unknown value.
        NotInstalledError: neither cuda-bindings nor pycuda is installed.
        UnsupportedError: there is no GPU or no driver.
        BackendError: TensorRT refuses the engine; its own text is passed on.
    """
    check_options(artifact.settings.options)
    memory = open_memory(artifact.settings.options.get("memory"))
    return EngineSession(artifact, trt, model, memory)


class EngineSession(Session):
    """One engine on one GPU, with an execution context, a stream and buffers, for one caller at a time."""

    serial = True
    on_gpu = True

    def __init__(self, artifact: Artifact, trt: Any, model: bytes, memory: DeviceMemory) -> None:
        """Load an engine.

        Raises:
            BackendError: TensorRT refuses the engine; its own text is passed on.
            UnsupportedError: an output's shape depends on the data.
        """
        super().__init__(artifact)
        self._memory = memory
        self._graph: int | None = None
        self._profile = 0
        self._shapes: Shapes = {}
        self._runtime = trt.Runtime(logger(trt))
        if artifact.plan is not None and "VERSION_COMPATIBLE" in artifact.plan.builder_flags:
            # Such an engine contains its own lean runtime, which is host code.
            self._runtime.engine_host_code_allowed = True
        self.engine = self._runtime.deserialize_cuda_engine(model)
        self._context: Any = None if self.engine is None else self.engine.create_execution_context()
        if self._context is None:
            raise BackendError(f"{trt.__name__} {trt.__version__} cannot load '{artifact.file}': {last_errors()}")
        self._stream = memory.stream()
        try:
            self._buffers = Buffers(trt, self.engine, self._context, memory, self._stream, artifact)
            if self._buffers.is_static:
                self._reshape({spec.name: spec.resolve({}) for spec in artifact.inputs})
                if artifact.settings.options.get("cuda_graph") != "off" and memory.can_capture:
                    self._graph = self._capture()
        except BaseException:
            self._release()
            raise

    @property
    def uses_cuda_graph(self) -> bool:
        """True if an inference is one launch of a captured CUDA graph.

        This needs static shapes, a binding that captures graphs, and layers that can be captured.
        """
        return self._graph is not None

    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        self._load(feeds)
        self._buffers.copy_in(self._stream)
        self._enqueue()
        self._buffers.copy_out(self._stream)
        self._memory.synchronize(self._stream)
        return self._buffers.outputs()

    def timed(self, feeds: Feeds) -> DeviceTimes:
        """Infer once on feeds that `run` accepts, and measure the parts."""
        memory, stream = self._memory, self._stream
        self._load(feeds)
        events = [memory.event() for _ in range(4)]
        try:
            memory.record(events[0], stream)
            self._buffers.copy_in(stream)
            memory.record(events[1], stream)
            start_ns = time.perf_counter_ns()
            self._enqueue()
            enqueue_ns = time.perf_counter_ns() - start_ns
            memory.record(events[2], stream)
            self._buffers.copy_out(stream)
            memory.record(events[3], stream)
            memory.synchronize(stream)
            h2d, compute, d2h = (memory.elapsed_ms(a, b) for a, b in itertools.pairwise(events))
        finally:
            for event in events:
                memory.destroy_event(event)
        return DeviceTimes(h2d, compute, d2h, enqueue_ns / 1e6)

    def _load(self, feeds: Feeds) -> None:
        shapes = {name: array.shape for name, array in feeds.items()}
        if shapes != self._shapes:
            self._reshape(shapes)
        self._buffers.fill(feeds)

    def _reshape(self, shapes: Shapes) -> None:
        """Give the context other shapes, and the optimization profile that allows them."""
        profile = self._buffers.profile_for(shapes)
        if profile != self._profile:
            if not self._context.set_optimization_profile_async(profile, self._stream):
                raise BackendError(f"TensorRT cannot select optimization profile {profile}: {last_errors()}")
            self._memory.synchronize(self._stream)  # shapes may be set only after the profile is
            self._profile = profile
        self._shapes = {}
        self._buffers.bind(self._context, shapes)
        self._shapes = dict(shapes)

    def _enqueue(self) -> None:
        if self._graph is not None:
            self._memory.launch(self._graph, self._stream)
        elif not self._context.execute_async_v3(self._stream):
            raise BackendError(f"TensorRT failed in '{self.artifact.file}': {last_errors()}")

    def _capture(self) -> int | None:
        """Capture one inference as a CUDA graph; None if a layer cannot be captured."""
        self._enqueue()  # in its first run TensorRT finishes its own setup, which must not be captured
        self._memory.synchronize(self._stream)
        self._memory.begin_capture(self._stream)
        try:
            captured = bool(self._context.execute_async_v3(self._stream))
            graph: int | None = self._memory.end_capture(self._stream)
        except BackendError:  # a call that is forbidden during a capture ends it
            captured, graph = False, None
        if captured:
            return graph
        last_errors()  # forgets the errors of this capture
        if graph is not None:
            self._memory.destroy_graph(graph)
        return None

    def _release(self) -> None:
        memory = self._memory
        memory.synchronize(self._stream)
        if self._graph is not None:
            memory.destroy_graph(self._graph)
            self._graph = None
        self._context = self.engine = self._runtime = None  # in this order, since each refers to the next
        if hasattr(self, "_buffers"):
            self._buffers.release()
        memory.destroy_stream(self._stream)
