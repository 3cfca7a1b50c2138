"""Edits of a graph: new nodes, values and constants under unused names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from runtimes.tensors import Array

_AXES_ARE_AN_INPUT = 18  # the opset from which these reductions take axes as an input (ReduceSum: 13)
_GLANCE = 64  # evenly spread elements, which distinguish most tensors of one shape


class Edits:
    """Factory of nodes and values for a graph; their names are unused in the graph and its subgraphs."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self._taken = {str(value.name) for inner in (graph, *graph.subgraphs()) for value in _values(inner)}
        self._taken.update(str(node.name) for node in graph.all_nodes())

    def fresh(self, hint: str) -> str:
        """Reserve a name: the hint, or the hint with a number if the hint is taken."""
        name, n = hint, 1
        while name in self._taken:
            name, n = f"{hint}.{n}", n + 1
        self._taken.add(name)
        return name

    def constant(self, hint: str, array: Array, graph: ir.Graph | None = None) -> ir.Value:
        """Add an initializer to the graph, or to a subgraph."""
        tensor = ir.tensor(array, name=self.fresh(hint))
        shape = ir.Shape(array.shape)
        value = ir.Value(name=tensor.name, type=ir.TensorType(tensor.dtype), shape=shape, const_value=tensor)
        (self.graph if graph is None else graph).register_initializer(value)
        return value

    def node(
        self,
        op: str,
        inputs: Sequence[ir.Value | None],
        *outputs: str,
        attributes: Mapping[str, int | Sequence[int]] | None = None,
    ) -> ir.Node:
        """Make a node for the caller to place, with one output per hint and the name of its first output."""
        made = ir.node(op, inputs, attributes=attributes, num_outputs=len(outputs))
        for value, hint in zip(made.outputs, outputs):
            value.name = self.fresh(hint)
        made.name = made.outputs[0].name
        return made

    def append(
        self, op: str, *inputs: ir.Value, graph: ir.Graph | None = None, **attributes: int | Sequence[int]
    ) -> ir.Value:
        """Add a node at the end of the graph, or of a subgraph, and return its output, whose type is not set."""
        node = self.node(op, inputs, f"{inputs[0].name}.{op}", attributes=attributes)
        (self.graph if graph is None else graph).append(node)
        return node.outputs[0]

    def reduce(self, op: str, value: ir.Value, axes: Sequence[int]) -> ir.Value:
        """Add a ReduceMin, ReduceMax or ReduceMean that removes some axes."""
        if self.graph.opset_imports.get("", 1) < _AXES_ARE_AN_INPUT:
            return self.append(op, value, keepdims=0, axes=axes)
        return self.append(op, value, self.constant("axes", np.array(axes, np.int64)), keepdims=0)

    def add_output(self, value: ir.Value, shape: Sequence[int | None] | None = None) -> None:
        """Make a float32 value an output of the graph; without a shape, the value keeps its own."""
        value.type = ir.TensorType(ir.DataType.FLOAT)
        value.shape = value.shape if shape is None else ir.Shape(shape)
        self.graph.outputs.append(value)

    def cast(self, value: ir.Value, dtype: ir.DataType, output: str) -> ir.Node:
        """Make a Cast for the caller to place."""
        made = self.node("Cast", [value], output, attributes={"to": dtype.value})
        made.outputs[0].type, made.outputs[0].shape = ir.TensorType(dtype), value.shape
        return made


def is_constant(value: ir.Value | None) -> bool:
    """Tell whether a value is known before the model runs."""
    return value is not None and value.is_initializer() and value.const_value is not None


def array_of(value: ir.Value | None) -> Array:
    """Return the array of a constant value."""
    assert value is not None and value.const_value is not None
    return value.const_value.numpy()


def deduplicate(model: ir.Model) -> ir.Model:
    """Store initializers with equal contents once; only those that look alike are compared as a whole.

    onnx_ir's `DeduplicateHashedInitializersPass` (1.1.0) does the same, with two disadvantages: it hashes all weights
    (0.28 s for 240 MB, and this function less than 10 ms), and it logs a warning for each initializer that is a graph
    output.

    Args:
        model: changed in place and returned.
    """
    for graph in model.graphs():
        stored: dict[tuple[object, ...], list[ir.Value]] = {}
        for name, value in list(graph.initializers.items()):
            tensor = value.const_value
            if tensor is None or value.is_graph_input() or value.is_graph_output():
                continue
            array = tensor.numpy()
            glance = array.reshape(-1)[:: array.size // _GLANCE + 1].tolist()
            alike = stored.setdefault((tensor.dtype, array.shape, repr(glance)), [])
            same = next((other for other in alike if _contents(array_of(other)) == _contents(array)), None)
            if same is None:
                alike.append(value)
            else:
                value.replace_all_uses_with(same)
                del graph.initializers[name]
    return model


def _contents(array: Array) -> object:
    return array.tolist() if array.dtype.hasobject else array.tobytes()


def _values(graph: ir.Graph) -> list[ir.Value]:
    return [*graph.inputs, *graph.initializers.values(), *(value for node in graph for value in node.outputs)]
