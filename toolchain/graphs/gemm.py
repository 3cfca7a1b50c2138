"""Normal form of Gemm that integer kernels support: alpha * A' * B' + beta * C becomes A * B' + c."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from toolchain.graphs.edits import Edits, array_of, is_constant
from toolchain.graphs.products import channel_axis


def normalize_gemms(model: ir.Model) -> ir.Model:
    """Fold alpha and beta into constants, transpose A in a node before it, and add a C that is no vector after it.

    A Gemm without a constant weight stays unchanged, and so does one with an infinite bias, such as a folded mask.

    Args:
        model: changed in place and returned.
    """
    edits = Edits(model.graph)
    for node in list(model.graph.all_nodes()):
        if node.op_type == "Gemm" and not node.domain and is_constant(node.inputs[1]) and _is_not_normal(node):
            _rewrite(edits, node)
    return RemoveUnusedNodesPass()(model).model


def _is_not_normal(node: ir.Node) -> bool:
    weight, bias = node.inputs[1], _bias(node)
    if weight is None or weight.dtype != ir.DataType.FLOAT:
        return False
    if is_constant(bias) and not np.isfinite(array_of(bias)).all():
        return False
    scales_activation = bias is not None and not is_constant(bias) and node.attributes.get_float("beta", 1.0) != 1.0
    return not scales_activation and (channel_axis(node) is None or _is_no_vector(bias))


def _is_no_vector(bias: ir.Value | None) -> bool:
    return bias is not None and not (is_constant(bias) and bias.shape is not None and len(bias.shape) == 1)


def _rewrite(edits: Edits, node: ir.Node) -> None:
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    alpha, beta = (node.attributes.get_float(name, 1.0) for name in ("alpha", "beta"))
    for name in ("alpha", "beta"):
        node.attributes.pop(name, None)
    if alpha != 1.0:
        scaled = (array_of(node.inputs[1]) * np.float32(alpha)).astype(np.float32)
        node.replace_input_with(1, edits.constant(f"{node.name}.weight", scaled))
    bias = _bias(node)
    if bias is not None and beta != 1.0:
        bias = edits.constant(f"{node.name}.bias", (array_of(bias) * np.float32(beta)).astype(np.float32))
        node.replace_input_with(2, bias)
    if node.attributes.get_int("transA", 0):
        del node.attributes["transA"]
        flipped = edits.node("Transpose", [node.inputs[0]], f"{node.name}.rows", attributes={"perm": [1, 0]})
        flipped.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
        graph.insert_before(node, flipped)
        node.replace_input_with(0, flipped.outputs[0])
    if bias is not None and _is_no_vector(bias):
        node.resize_inputs(2)
        old = node.outputs[0]
        add = edits.node("Add", [old, bias], f"{node.name}.sum")
        new = add.outputs[0]
        new.type, new.shape = old.type, old.shape
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        add.replace_input_with(0, old)
        old.name, new.name = new.name, old.name
        graph.insert_after(node, add)


def _bias(node: ir.Node) -> ir.Value | None:
    return node.inputs[2] if len(node.inputs) > 2 else None
