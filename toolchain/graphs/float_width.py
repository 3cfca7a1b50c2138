"""Conversion of a graph from float16 or float64 to float32, with inputs and outputs that keep their dtype."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnx_ir as ir

from toolchain.graphs.edits import Edits

_DTYPE_ATTRIBUTES = frozenset({"to", "dtype", "stash_type"})


def has_dtype(model: ir.Model, dtype: ir.DataType) -> bool:
    """Tell whether a value of a model, or a constant in it, has a dtype."""
    values = (value for graph in model.graphs() for value in _values(graph))
    return any(value.dtype == dtype for value in values) or any(
        _converted(attribute, dtype) is not None for node in _nodes(model) for attribute in node.attributes.values()
    )


def compute_in_float32(model: ir.Model, dtype: ir.DataType) -> None:
    """Change everything of a dtype to float32, functions and subgraphs included, with Casts at inputs and outputs.

    Args:
        model: the model, which is changed.
        dtype: FLOAT16 or DOUBLE.
    """
    ends = [value for value in (*model.graph.inputs, *model.graph.outputs) if value.dtype == dtype]
    for graph in model.graphs():
        for value in _values(graph):
            if value.dtype == dtype:
                value.dtype = ir.DataType.FLOAT
            if value.const_value is not None and value.const_value.dtype == dtype:
                value.const_value = _float32(value.const_value)
    for node in _nodes(model):
        for name, attribute in list(node.attributes.items()):
            converted = _converted(attribute, dtype)
            if converted is not None:
                node.attributes[name] = converted
    _cast_ends(model.graph, ends, dtype)
    _skip_needless_casts(model)


def _cast_ends(graph: ir.Graph, ends: Iterable[ir.Value], dtype: ir.DataType) -> None:
    edits = Edits(graph)
    for value in dict.fromkeys(ends):
        value.dtype = dtype
        if value.is_graph_input():
            cast = edits.cast(value, ir.DataType.FLOAT, f"{value.name}.float32")
            for use in list(value.uses()):  # those of nodes, since the input may be an output as well, and stays it
                if use.node is not cast:
                    use.node.replace_input_with(use.idx, cast.outputs[0])
            graph.insert_before(graph[0], cast) if len(graph) else graph.append(cast)
        else:
            cast = edits.cast(value, dtype, f"{value.name}.float32")
            cast.outputs[0].name, value.name = value.name, cast.outputs[0].name
            value.dtype = ir.DataType.FLOAT
            graph.outputs[:] = [cast.outputs[0] if output is value else output for output in graph.outputs]
            graph.append(cast)


def _skip_needless_casts(model: ir.Model) -> None:
    """Skip what were Casts between the two dtypes, so that operators stand side by side."""
    for node in list(model.graph.all_nodes()):
        source = node.inputs[0] if node.op_type == "Cast" and not node.domain else None
        to = node.attributes.get_int("to", 0)
        if source is not None and source.dtype == to == ir.DataType.FLOAT and not node.outputs[0].is_graph_output():
            node.outputs[0].replace_all_uses_with(source)


def _converted(attribute: ir.Attr, dtype: ir.DataType) -> ir.Attr | None:
    if attribute.is_ref():
        return None
    if attribute.type == ir.AttributeType.TENSOR and attribute.as_tensor().dtype == dtype:
        return ir.AttrTensor(attribute.name, _float32(attribute.as_tensor()))
    if attribute.name in _DTYPE_ATTRIBUTES and attribute.type == ir.AttributeType.INT and attribute.as_int() == dtype:
        return ir.AttrInt64(attribute.name, int(ir.DataType.FLOAT))
    return None


def _float32(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    with np.errstate(over="ignore"):  # what float64 alone can hold becomes infinite
        return ir.tensor(tensor.numpy().astype(np.float32), name=tensor.name)


def _nodes(model: ir.Model) -> Iterator[ir.Node]:
    yield from model.graph.all_nodes()
    for function in model.functions.values():
        yield from function.all_nodes()


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph:
        yield from node.outputs
