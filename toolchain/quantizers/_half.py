"""Compute in half precision: matrix products and what stands between them, the rest in float32."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from toolchain.quantizers._graph import array_of, constant, drop_unused_initializers
from toolchain.quantizers._placement import is_constant

# Operators that lose nothing to a short mantissa but what the products lose anyway. Reductions, Softmax
# and normalisations add many small numbers and stay in float32.
_OPS = frozenset(
    "Conv ConvTranspose MatMul Gemm Relu LeakyRelu Clip Sigmoid Tanh Add Mul MaxPool AveragePool GlobalAveragePool "
    "Reshape Transpose Flatten Squeeze Unsqueeze Concat".split()
)


def compute_in(model: ir.Model, dtype: ir.DataType, keep: Collection[str]) -> ir.Model:
    """Compute in `dtype` where it pays, but for the nodes named in `keep`. Inputs and outputs keep their dtype."""
    graph = model.graph
    chosen = [node for node in graph if node.op_type in _OPS and not node.domain and node.name not in keep]
    narrow: dict[ir.Value, ir.Value] = {}
    for node in chosen:
        for index, value in enumerate(node.inputs):
            if value is not None and value.dtype == ir.DataType.FLOAT:
                if value not in narrow:
                    narrow[value] = _cast(graph, value, dtype, before=node)
                node.replace_input_with(index, narrow[value])
        for value in list(node.outputs):
            if value.dtype == ir.DataType.FLOAT:
                _widen(graph, node, value, dtype, narrow)
    _drop_unused(graph)
    return model


def _cast(graph: ir.Graph, value: ir.Value, dtype: ir.DataType, before: ir.Node) -> ir.Value:
    if is_constant(value):
        return constant(graph, f"{value.name}.half", array_of(value).astype(dtype.numpy()))
    cast = ir.node("Cast", [value], attributes={"to": dtype.value}, name=f"{value.name}.to_half")
    cast.outputs[0].type, cast.outputs[0].shape = ir.TensorType(dtype), value.shape
    cast.outputs[0].name = f"{value.name}.half"
    graph.insert_before(before, cast)
    return cast.outputs[0]


def _widen(
    graph: ir.Graph, node: ir.Node, value: ir.Value, dtype: ir.DataType, narrow: dict[ir.Value, ir.Value]
) -> None:
    """Let a node write `dtype` under a new name, and a Cast write the old name in float32 for who wants that."""
    name, shape, type_ = value.name, value.shape, value.type
    cast = ir.node("Cast", [value], attributes={"to": ir.DataType.FLOAT.value}, name=f"{name}.to_fp32")
    wide = cast.outputs[0]
    wide.type, wide.shape = type_, shape
    value.replace_all_uses_with(wide, replace_graph_outputs=True)
    cast.replace_input_with(0, value)
    value.name, wide.name = f"{name}.half", name
    value.type = ir.TensorType(dtype)
    graph.insert_after(node, cast)
    narrow[wide] = value


def _drop_unused(graph: ir.Graph) -> None:
    for node in reversed(list(graph)):
        if node.op_type == "Cast" and not node.outputs[0].uses() and not node.outputs[0].is_graph_output():
            graph.remove(node, safe=True)
    drop_unused_initializers(graph)
