"""Small edits of a graph that several quantizers make."""

from __future__ import annotations

import onnx_ir as ir

from runtimes.tensors import Array


def constant(graph: ir.Graph, name: str, array: Array) -> ir.Value:
    """A new initializer."""
    tensor = ir.tensor(array, name=name)
    value = ir.Value(name=name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape), const_value=tensor)
    graph.register_initializer(value)
    return value


def array_of(value: ir.Value | None) -> Array:
    """The array of a value that is known to be constant."""
    assert value is not None and value.const_value is not None
    return value.const_value.numpy()


def drop_unused_initializers(graph: ir.Graph) -> None:
    """Remove initializers that nothing reads any more."""
    for name, value in list(graph.initializers.items()):
        if not value.uses() and not value.is_graph_output():
            del graph.initializers[name]
