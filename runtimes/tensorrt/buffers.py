"""The buffers of an engine session: each input and output has one on the device and one pinned on the host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtimes.bundles.build_plan import ShapeRange
from runtimes.bundles.manifest import Artifact
from runtimes.errors import BackendError, FeedError, UnsupportedError
from runtimes.tensorrt.cuda._protocol import DeviceMemory, Pinned
from runtimes.tensorrt.logger import last_errors
from runtimes.tensors import Array, Feeds

Shapes = Mapping[str, tuple[int, ...]]

_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}
"""NumPy's names of TensorRT's types."""


@dataclass(frozen=True)
class _Slot:
    """The memory of one tensor, large enough for the largest shape of any optimization profile.

    Attributes:
        pinned: the buffer on the host.
        address: address on the device; None for a shape tensor, which TensorRT reads on the host.
    """

    name: str
    dtype: np.dtype[Any]
    pinned: Pinned
    address: int | None

    def view(self, shape: tuple[int, ...]) -> Array:
        count = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        if count > self.pinned.array.size:  # TensorRT would write beyond the buffer
            raise UnsupportedError(
                f"The shape {list(shape)} of '{self.name}' is larger than for the largest inputs; edgewright only runs "
                "engines whose outputs grow with their inputs."
            )
        return self.pinned.array[:count].view(self.dtype).reshape(shape)


class Buffers:
    """All buffers of a session, and the part of each that the current shapes use."""

    def __init__(
        self, trt: Any, engine: Any, context: Any, memory: DeviceMemory, stream: int, artifact: Artifact
    ) -> None:
        """Allocate all buffers.

        Raises:
            BackendError: the engine's tensors differ from the artifact's, or memory is short.
            UnsupportedError: an output's shape depends on the data, or NumPy lacks its type.
        """
        self._memory = memory
        self._file = artifact.file
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self._inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        self._outputs = [spec.name for spec in artifact.outputs]
        declared = {spec.name for spec in (*artifact.inputs, *artifact.outputs)}
        if declared != set(names):
            raise BackendError(
                f"The engine '{artifact.file}' has {', '.join(sorted(names))}, but its bundle declares "
                f"{', '.join(sorted(declared))}; build it again."
            )
        for spec in (*artifact.inputs, *artifact.outputs):
            dtype = _DTYPES.get(engine.get_tensor_dtype(spec.name).name, spec.dtype)
            if dtype != spec.dtype:
                raise BackendError(
                    f"The engine '{artifact.file}' has {dtype} for '{spec.name}', but its bundle declares {spec}; "
                    "build it again."
                )
        self.is_static = all(spec.is_static for spec in artifact.inputs)
        self._ranges = [
            {name: ShapeRange(*map(tuple, engine.get_tensor_profile_shape(name, index))) for name in self._inputs}
            for index in range(max(engine.num_optimization_profiles, 1))
        ]
        largest = self._largest(engine, context, stream)
        self._slots: dict[str, _Slot] = {}
        try:
            for name in names:
                self._slots[name] = self._allocate(trt, engine, name, largest[name])
        except BaseException:
            self.release()
            raise
        self._copies: list[tuple[_Slot, int]] = []
        self._results: list[tuple[_Slot, int]] = []
        self._views: dict[str, Array] = {}

    def profile_for(self, shapes: Shapes) -> int:
        """Find the optimization profile that allows some shapes; if several do, the one whose `opt` is nearest.

        Raises:
            FeedError: no profile allows them; says which shapes are allowed.
        """
        fitting = [
            (sum(abs(a - b) for name in shapes for a, b in zip(ranges[name].opt, shapes[name])), index)
            for index, ranges in enumerate(self._ranges)
            if all(ranges[name].holds(tuple(shapes[name])) for name in shapes)
        ]
        if not fitting:
            held = " or ".join(", ".join(f"{k} {r}" for k, r in ranges.items()) for ranges in self._ranges)
            given = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
            raise FeedError(f"The engine '{self._file}' takes {held}, not {given}; build it with another --range.")
        return min(fitting)[1]

    def bind(self, context: Any, shapes: Shapes) -> None:
        """Give the context its addresses and shapes, and ask it for the outputs' shapes.

        Raises:
            BackendError: TensorRT refuses a shape.
            UnsupportedError: an output is larger than for the largest inputs.
        """
        for slot in self._slots.values():
            address = slot.pinned.address if slot.address is None else slot.address
            if not context.set_tensor_address(slot.name, address):
                raise BackendError(f"TensorRT refuses the address of '{slot.name}': {last_errors()}")
        for name, shape in shapes.items():
            if not context.set_input_shape(name, shape):
                raise BackendError(f"TensorRT refuses the shape {list(shape)} of '{name}': {last_errors()}")
        found = {**shapes, **{name: tuple(context.get_tensor_shape(name)) for name in self._outputs}}
        self._views = {name: self._slots[name].view(shape) for name, shape in found.items()}
        self._copies = [(self._slots[name], self._views[name].nbytes) for name in self._inputs]
        self._results = [(self._slots[name], self._views[name].nbytes) for name in self._outputs]

    def fill(self, feeds: Feeds) -> None:
        """Copy feeds of the bound shapes into the pinned buffers."""
        for name in self._inputs:
            np.copyto(self._views[name], feeds[name])

    def copy_in(self, stream: int) -> None:
        """Enqueue the copies of all inputs to the device."""
        for slot, nbytes in self._copies:
            if slot.address is not None:
                self._memory.copy_in(slot.address, slot.pinned, nbytes, stream)

    def copy_out(self, stream: int) -> None:
        """Enqueue the copies of all outputs to the host."""
        for slot, nbytes in self._results:
            if slot.address is not None:
                self._memory.copy_out(slot.pinned, slot.address, nbytes, stream)

    def outputs(self) -> dict[str, Array]:
        """Copy the outputs into new arrays; the stream must be synchronized before."""
        return {name: self._views[name].copy() for name in self._outputs}

    def release(self) -> None:
        """Free all buffers."""
        self._views, self._copies, self._results = {}, [], []
        while self._slots:
            _, slot = self._slots.popitem()
            if slot.address is not None:
                self._memory.free(slot.address)
            self._memory.unpin(slot.pinned)

    def _largest(self, engine: Any, context: Any, stream: int) -> dict[str, int]:
        """Find the largest number of elements of each tensor over all optimization profiles."""
        most: dict[str, int] = {}
        for index, ranges in enumerate(self._ranges):
            if len(self._ranges) > 1:
                context.set_optimization_profile_async(index, stream)
                self._memory.synchronize(stream)
            shapes = {name: shape_range.max for name, shape_range in ranges.items()}
            for name, shape in shapes.items():
                context.set_input_shape(name, shape)
            for name in self._outputs:
                shape = tuple(context.get_tensor_shape(name))
                if any(size < 0 for size in shape):
                    raise UnsupportedError(
                        f"The shape of the output '{name}' depends on the data; edgewright only runs engines whose "
                        "output shapes follow from the input shapes."
                    )
                shapes[name] = shape
            for name, shape in shapes.items():
                most[name] = max(most.get(name, 0), int(np.prod(shape, dtype=np.int64)))
        if len(self._ranges) > 1:
            context.set_optimization_profile_async(0, stream)
            self._memory.synchronize(stream)
        return most

    def _allocate(self, trt: Any, engine: Any, name: str, elements: int) -> _Slot:
        kind = engine.get_tensor_dtype(name).name
        if kind not in _DTYPES:
            raise UnsupportedError(f"'{name}' is {kind}, a type that NumPy lacks; cast it in the model.")
        dtype = np.dtype(_DTYPES[kind])
        on_host = engine.get_tensor_location(name) == trt.TensorLocation.HOST
        nbytes = elements * dtype.itemsize
        address = None if on_host else self._memory.allocate(nbytes)
        try:
            return _Slot(name, dtype, self._memory.pin(nbytes), address)
        except BaseException:
            if address is not None:
                self._memory.free(address)
            raise
