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
import onnxruntime as ort

from runtimes import samples
from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec

ELEMENTS = 4096
"""Elements of one tensor that one sample gives to a distribution, at least, where the tensor has as many."""


@dataclass(frozen=True)
class Observation:
    """What one inference showed, in the order of the watched tensors.

    Attributes:
        low, high: the extremes of each tensor, float64 [tensors].
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
) -> Iterator[Observation]:
    """Run every sample.

    Args:
        model: the prepared float model; left as it is.
        tensors: names of float32 tensors of the main graph.
        specs: the model's inputs.
        arrays: the samples, one array per input, samples first.
        elements: whether to give some of the tensors' values, too.

    Raises:
        UsageError: a sample drives a tensor to NaN or infinity; says which.
    """
    session = _watcher(model, tensors, elements)
    for index, feeds in enumerate(samples.feeds(specs, arrays)):
        outputs = session.run(None, feeds)
        low, high = (np.asarray(outputs[i * len(tensors) : (i + 1) * len(tensors)], np.float64) for i in range(2))
        finite = np.isfinite(low) & np.isfinite(high)
        if not finite.all():
            tensor = tensors[int(np.argmin(finite))]
            raise UsageError(f"Calibration sample {index} drives the tensor '{tensor}' to NaN or infinity; remove it.")
        yield Observation(low, high, outputs[2 * len(tensors) :])


def _watcher(model: ir.Model, tensors: Sequence[str], elements: bool) -> ort.InferenceSession:
    watched = ir.from_proto(ir.to_proto(model))
    graph = watched.graph
    values = {value.name: value for node in graph for value in node.outputs}
    values.update({value.name: value for value in graph.inputs})
    graph.outputs.clear()
    for op in ("ReduceMin", "ReduceMax"):  # over all axes, which every opset writes the same way
        for name in tensors:
            _add_output(graph, ir.node(op, [values[name]], attributes={"keepdims": 0}), f"{name}:{op}", [])
    if elements:
        constants = {name: _integers(graph, name, value) for name, value in _CONSTANTS.items()}
        for name in tensors:
            _add_elements(graph, values[name], constants)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(ir.to_proto(watched).SerializeToString(), options, providers=["CPUExecutionProvider"])


_CONSTANTS = {"all": -1, "zero": 0, "one": 1, "two": 2, "per_step": 2 * ELEMENTS, "end": 2**62}


def _add_elements(graph: ir.Graph, value: ir.Value, constants: Mapping[str, ir.Value]) -> None:
    """Every k-th element, k odd so that it never falls in step with a power-of-two layout: k = 2 * (n // 8192) + 1."""

    def add(op: str, *inputs: ir.Value) -> ir.Value:
        node = ir.node(op, list(inputs))
        graph.append(node)
        return node.outputs[0]

    flat = add("Reshape", value, constants["all"])
    ratio = add("Div", add("Shape", flat), constants["per_step"])
    step = add("Add", add("Mul", ratio, constants["two"]), constants["one"])
    inputs = [flat, constants["zero"], constants["end"], constants["zero"], step]
    _add_output(graph, ir.node("Slice", inputs), f"{value.name}:elements", None)


def _integers(graph: ir.Graph, name: str, value: int) -> ir.Value:
    tensor = ir.tensor(np.array([value], np.int64), name=f"observe:{name}")
    constant = ir.Value(name=tensor.name, type=ir.TensorType(tensor.dtype), shape=ir.Shape([1]), const_value=tensor)
    graph.register_initializer(constant)
    return constant


def _add_output(graph: ir.Graph, node: ir.Node, name: str, shape: list[int] | None) -> None:
    output = node.outputs[0]
    output.name = name
    output.type = ir.TensorType(ir.DataType.FLOAT)
    output.shape = ir.Shape(shape if shape is not None else [None])
    graph.append(node)
    graph.outputs.append(output)
