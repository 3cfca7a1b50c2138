"""Watch a model's tensors while samples pass through it.

What is watched is reduced inside the graph: the extremes of each tensor, and where a distribution is asked for, an
evenly spaced part of its elements. So memory grows neither with the samples nor with the activations, and since
samples go through one by one, nothing depends on their order or on how they were batched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec
from toolchain import inference
from toolchain.graphs.edits import Edits
from toolchain.graphs.surface import surface

ELEMENTS = 4096
"""Elements of one tensor that one sample gives to a distribution, at least, where the tensor has as many."""


@dataclass(frozen=True)
class Observation:
    """What one inference showed, in the order of the watched tensors.

    Attributes:
        low, high: the extremes of each tensor, float64 [tensors]; infinity and minus infinity for what was not
            computed, such as in a branch that was not taken.
        elements: some of each tensor's values, float32; empty unless they were asked for.
    """

    low: Array
    high: Array
    elements: Sequence[Array]


def observe(
    model: ir.Model,
    tensors: Sequence[str],
    specs: Sequence[TensorSpec],
    arrays: Mapping[str, Array],
    *,
    elements: bool = False,
    infinities: bool = False,
) -> Iterator[Observation]:
    """Run every sample.

    Args:
        model: the prepared float model; left as it is.
        tensors: names of float32 tensors, of subgraphs, too.
        specs: the model's inputs.
        arrays: the samples, one array per input, samples first.
        elements: whether to give some of the tensors' values, too.
        infinities: whether the tensors may hold infinity and NaN, which then count as zeros.

    Raises:
        UsageError: a sample drives a tensor to NaN or infinity where it may not, or ONNX Runtime fails on it; says
            which.
    """
    session = inference.session(_watcher(model, tensors, elements, infinities))
    for sample, outputs in inference.over_samples(session, specs, arrays):
        low, high = (np.asarray(outputs[i * len(tensors) : (i + 1) * len(tensors)], np.float64) for i in range(2))
        finite = (np.isfinite(low) & np.isfinite(high)) | (low > high)
        if not finite.all():
            tensor = tensors[int(np.argmin(finite))]
            raise UsageError(f"Calibration sample {sample} drives the tensor '{tensor}' to NaN or infinity; remove it.")
        yield Observation(low, high, outputs[2 * len(tensors) :])


def _watcher(model: ir.Model, tensors: Sequence[str], elements: bool, infinities: bool) -> ir.Model:
    watched = model.clone()
    graph, edits = watched.graph, Edits(watched.graph)
    graph.outputs.clear()
    values = surface(edits, tensors)
    values.update({str(value.name): value for value in [*graph.inputs, *(v for node in graph for v in node.outputs)]})
    seen = [values[name] for name in tensors]
    if infinities:
        zero = edits.constant("zero", np.zeros((), np.float32))
        seen = [_finite(edits, value, zero) for value in seen]
    for op in ("ReduceMin", "ReduceMax"):  # over all axes, which every opset writes the same way
        for value in seen:
            _give(graph, _add(edits, op, value, keepdims=0), [])
    if elements:
        constants = {name: edits.constant(name, np.array([value], np.int64)) for name, value in _CONSTANTS.items()}
        for value in seen:
            _give(graph, _elements(edits, value, constants), [None])
    return watched


def _finite(edits: Edits, value: ir.Value, zero: ir.Value) -> ir.Value:
    odd = _add(edits, "Or", _add(edits, "IsInf", value), _add(edits, "IsNaN", value))
    return _add(edits, "Where", odd, zero, value)


_CONSTANTS = {"all": -1, "first": 0, "one": 1, "two": 2, "per_step": 2 * ELEMENTS, "end": 2**62}


def _elements(edits: Edits, value: ir.Value, constants: Mapping[str, ir.Value]) -> ir.Value:
    """Every k-th element, k odd so that it never falls in step with a power-of-two layout: k = 2 * (n // 8192) + 1."""
    flat = _add(edits, "Reshape", value, constants["all"])
    ratio = _add(edits, "Div", _add(edits, "Shape", flat), constants["per_step"])
    step = _add(edits, "Add", _add(edits, "Mul", ratio, constants["two"]), constants["one"])
    return _add(edits, "Slice", flat, constants["first"], constants["end"], constants["first"], step)


def _add(edits: Edits, op: str, *inputs: ir.Value, **attributes: int) -> ir.Value:
    node = edits.node(op, inputs, f"{inputs[0].name}.{op}", attributes=attributes)
    edits.graph.append(node)
    return node.outputs[0]


def _give(graph: ir.Graph, value: ir.Value, shape: list[int] | list[None]) -> None:
    value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(shape)
    graph.outputs.append(value)
