"""Compute in half precision: matrix products and what stands between them, the rest in float32."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from toolchain.graphs.edits import Edits, array_of, drop_unused_initializers, is_constant

# Operators that lose nothing to a short mantissa but what the products lose anyway. Reductions, Softmax
# and normalisations add many small numbers and stay in float32.
_OPS = frozenset(
    "Conv ConvTranspose MatMul Gemm Relu LeakyRelu Clip Sigmoid Tanh Add Mul MaxPool AveragePool GlobalAveragePool "
    "Reshape Transpose Flatten Squeeze Unsqueeze Concat".split()
)


def compute_in(model: ir.Model, dtype: ir.DataType, keep: Collection[str]) -> ir.Model:
    """Compute in `dtype` where it pays, but for the nodes named in `keep`. Inputs and outputs keep their dtype."""
    edits = Edits(model.graph)
    selected = [node for node in where_it_pays(model) if node.name not in keep]
    narrow: dict[ir.Value, ir.Value] = {}
    for node in selected:
        for index, value in enumerate(node.inputs):
            if value is not None and value.dtype == ir.DataType.FLOAT:
                if value not in narrow:
                    narrow[value] = _narrowed(edits, value, dtype, before=node)
                node.replace_input_with(index, narrow[value])
        for value in list(node.outputs):
            if value.dtype == ir.DataType.FLOAT:
                narrow[_widened(edits, node, value, dtype)] = value
    drop_unused(model.graph)
    return model


def where_it_pays(model: ir.Model) -> list[ir.Node]:
    """The nodes that lose little in half precision, and of the main graph alone."""
    return [node for node in model.graph if _pays(node)]


def with_writers(model: ir.Model, keep: Collection[str]) -> set[str]:
    """Nodes to keep, and who writes what they read: a value that is rounded on its way was not worth keeping."""
    kept = set(keep)
    for node in model.graph:
        if node.name in keep:
            kept.update(str(writer.name) for value in node.inputs if value and (writer := value.producer()))
    return kept


def drop_unused(graph: ir.Graph) -> None:
    """Remove Casts and initializers that nothing reads any more."""
    for node in reversed(list(graph)):
        if node.op_type == "Cast" and not node.outputs[0].uses() and not node.outputs[0].is_graph_output():
            graph.remove(node, safe=True)
    drop_unused_initializers(graph)


def _pays(node: ir.Node) -> bool:
    # Behind an operator that shape inference does not know, a dtype may be missing, and a wrong guess is invalid.
    typed = all(value is None or value.dtype is not None for value in node.inputs)
    return node.op_type in _OPS and not node.domain and typed


def _narrowed(edits: Edits, value: ir.Value, dtype: ir.DataType, before: ir.Node) -> ir.Value:
    hint = f"{value.name}.half"
    if is_constant(value):
        return edits.constant(hint, array_of(value).astype(dtype.numpy()))
    cast = edits.cast(value, dtype, hint)
    edits.graph.insert_before(before, cast)
    return cast.outputs[0]


def _widened(edits: Edits, node: ir.Node, value: ir.Value, dtype: ir.DataType) -> ir.Value:
    """Let a node write `dtype` under a new name, and a Cast write the old name in float32 for who wants that."""
    cast = edits.cast(value, ir.DataType.FLOAT, f"{value.name}.half")
    wide = cast.outputs[0]
    value.replace_all_uses_with(wide, replace_graph_outputs=True)
    cast.replace_input_with(0, value)
    value.name, wide.name = wide.name, value.name
    value.type = ir.TensorType(dtype)
    edits.graph.insert_after(node, cast)
    return wide
