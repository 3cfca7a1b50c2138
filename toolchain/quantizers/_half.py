"""Half precision arithmetic for matrix products and the operators between them; the rest stays in float32."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from toolchain.graphs.edits import Edits, array_of, is_constant

# These operators lose no more accuracy to a short mantissa than the products do. Reductions, Softmax and
# normalizations add many small numbers, so they stay in float32.
_OPS = frozenset(
    "Conv ConvTranspose MatMul Gemm Relu LeakyRelu Clip Sigmoid Tanh Add Mul MaxPool AveragePool GlobalAveragePool "
    "Reshape Transpose Flatten Squeeze Unsqueeze Concat".split()
)


def compute_in(model: ir.Model, dtype: ir.DataType, keep: Collection[str]) -> ir.Model:
    """Make the main graph's `nodes_in_half` compute in `dtype`; inputs and outputs keep their dtype.

    Args:
        model: the prepared float model; changed and returned.
        dtype: FLOAT16 or BFLOAT16.
        keep: names of nodes that stay in float32.
    """
    edits = Edits(model.graph)
    selected = [node for node in nodes_in_half(model) if node.name not in keep]
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
    return RemoveUnusedNodesPass()(model).model


def nodes_in_half(model: ir.Model) -> list[ir.Node]:
    """List the main graph's nodes that lose little accuracy in half precision."""
    return [node for node in model.graph if _is_in_half(node)]


def with_writers(model: ir.Model, keep: Collection[str]) -> set[str]:
    """Add the writers of kept nodes' inputs to the nodes to keep, since a rounded input would undo the gain."""
    kept = set(keep)
    for node in model.graph:
        if node.name in keep:
            kept.update(str(writer.name) for value in node.inputs if value and (writer := value.producer()))
    return kept


def _is_in_half(node: ir.Node) -> bool:
    # After an operator that shape inference does not know, dtypes are missing, and a wrong guess is invalid.
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
    """Make a node write `dtype` under a new name, and a Cast write float32 under the old name for other readers."""
    cast = edits.cast(value, ir.DataType.FLOAT, f"{value.name}.half")
    wide = cast.outputs[0]
    value.replace_all_uses_with(wide, replace_graph_outputs=True)
    cast.replace_input_with(0, value)
    value.name, wide.name = wide.name, value.name
    value.type = ir.TensorType(dtype)
    edits.graph.insert_after(node, cast)
    return wide
