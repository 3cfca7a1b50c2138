"""Forms of a model that OpenVINO compiled, for fixed shapes or for all, and inferences on them."""

from __future__ import annotations

import contextlib
import functools
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

# The import of openvino reports its use in a thread that would run while we time. If the package that reports is
# missing, openvino uses a stub. If another module imported it before, there is nothing left to prevent.
if "openvino_telemetry" in sys.modules or TYPE_CHECKING:
    import openvino as ov
else:
    sys.modules["openvino_telemetry"] = None
    try:
        import openvino as ov
    finally:
        del sys.modules["openvino_telemetry"]

from runtimes.backends._signal_stack import kept_signal_stack
from runtimes.tensors import Array, Feeds, TensorSpec

__all__ = ["CompiledForm", "Shapes", "compile_form", "core", "ov", "reshaped", "run", "run_larger"]

_COPIED_BYTES = 64 << 10  # below this size, copying an output costs less than binding an array to it

Shapes = tuple[tuple[int, ...], ...]
"""Shapes of the inputs, in their order."""


@dataclass(frozen=True)
class CompiledForm:
    """A compiled model.

    Attributes:
        request: OpenVINO's inference request, which computes one inference at a time.
        inputs: ports by name.
        outputs: ports by name.
        large: port, dtype and shape of the outputs that are written into new arrays instead of being copied.
    """

    request: Any
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    large: dict[str, tuple[Any, np.dtype[Any], tuple[int, ...]]]


@functools.cache
def core() -> ov.Core:
    """Return the one core of this process.

    With a core for each of several compiled forms, other libraries of the process crash later (openvino 2026.4).
    """
    return ov.Core()


def reshaped(graph: ov.Model, shapes: Mapping[str, tuple[int, ...]]) -> ov.Model:
    """Copy a model, with fixed shapes for its inputs.

    Raises:
        RuntimeError: the model takes no such shapes.
    """
    fixed = graph.clone()
    fixed.reshape(dict(shapes))
    return fixed


def compile_form(
    graph: ov.Model, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], config: Mapping[str, str]
) -> CompiledForm:
    """Compile a model.

    Raises:
        RuntimeError: OpenVINO refuses the model.
    """
    with kept_signal_stack():
        compiled = core().compile_model(graph, "CPU", dict(config))
    ports = {spec.name: compiled.output(spec.name) for spec in outputs}
    # The class below OpenVINO's Python wrapper, whose dispatch takes 7 us, a tenth of a small model's time
    # (openvino 2026.4).
    request = super(type(compiled), compiled).create_infer_request()
    return CompiledForm(
        request,
        {spec.name: compiled.input(spec.name) for spec in inputs},
        ports,
        {name: _large_output(port) for name, port in ports.items() if _is_large(port)},
    )


def _large_output(port: Any) -> tuple[Any, np.dtype[Any], tuple[int, ...]]:
    return port, np.dtype(port.element_type.to_dtype()), tuple(port.shape)


def _is_large(port: Any) -> bool:
    shape = port.partial_shape
    return bool(shape.is_static and port.element_type.size * math.prod(shape.to_shape()) >= _COPIED_BYTES)


def run(form: CompiledForm, feeds: Feeds) -> dict[str, Array]:
    """Infer without copying: share the inputs, and let large outputs of known shape fill new arrays."""
    request, computed = form.request, {}
    for name, (port, dtype, shape) in form.large.items():
        computed[name] = np.empty(shape, dtype)
        request.set_tensor(port, ov.Tensor(computed[name], shared_memory=True))
    tensors = {port: _tensor(feeds[name]) for name, port in form.inputs.items()}
    views = request.infer(tensors, share_outputs=True, decode_strings=True)
    # The request owns the memory of other outputs, and its next run writes to it.
    return {name: computed[name] if name in computed else views[port].copy() for name, port in form.outputs.items()}


def run_larger(form: CompiledForm, specs: Sequence[TensorSpec], feeds: Feeds) -> None:
    """Run a general form at sizes above 1 before its first call, if that has a size of 0 or 1.

    OpenVINO 2026.4 fuses attention. A general form that first meets a single key, as the first step with a KV cache
    does, computes wrong values from 16 keys on, for as long as it lives.
    """
    dims = [dim for spec in specs for dim in zip(spec.shape, feeds[spec.name].shape)]
    sizes = {letter: size for letter, size in dims if isinstance(letter, str)}
    batches = {spec.shape[0] for spec in specs if spec.shape}
    larger = {letter: size if letter in batches else max(size, 2) for letter, size in sizes.items()}
    if larger != sizes:
        with contextlib.suppress(Exception):  # the model may not take these sizes
            run(form, {spec.name: np.resize(feeds[spec.name], spec.resolve(larger)) for spec in specs})


def _tensor(array: Array) -> ov.Tensor:
    """Share an array's memory, or copy an array that is read-only or not contiguous, which OpenVINO refuses."""
    ordered = np.require(array, requirements=("C", "W"))
    return ov.Tensor(ordered, shared_memory=True)
