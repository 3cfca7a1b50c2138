"""Integer products on kernels that cannot saturate: u8 x u8 instead of u8 x s8.

On x86 without VNNI, ONNX Runtime multiplies u8 x s8 with `vpmaddubsw`, which adds two products in int16 and saturates;
it widens u8 x u8 to int16 first and adds in int32. A weight w with zero point z means w - z, and so does w + 128 with
z + 128, so the graph's result is the same.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from toolchain.graphs.edits import Edits, array_of, is_constant

_OPERANDS = {"MatMulInteger": ((1, 3),), "DynamicQuantizeLSTM": ((1, 9), (2, 11))}
"""By operator, the input indices of its weights and of their zero points."""


def with_unsigned_weights(model: ir.Model) -> ir.Model:
    """Shift the constant s8 weights of integer products, and their zero points, to u8.

    Args:
        model: any model; it stays unchanged.

    Returns:
        The same model if it has no such weights, else a changed copy.
    """
    if not any(_signed(node) for node in model.graph.all_nodes()):
        return model
    shifted = model.clone()
    edits = Edits(shifted.graph)
    known: dict[ir.Value, ir.Value] = {}  # several products may share a weight
    for node in shifted.graph.all_nodes():
        for weight, zero_point in _signed(node):
            if zero_point >= len(node.inputs):
                node.resize_inputs(zero_point + 1)
            for index in (weight, zero_point):
                node.replace_input_with(index, _shifted(edits, node.inputs[index], known))
    return shifted


def _signed(node: ir.Node) -> list[tuple[int, int]]:
    return [
        (weight, zero_point)
        for weight, zero_point in _OPERANDS.get(node.op_type, ())
        if is_constant(node.inputs[weight])
        and array_of(node.inputs[weight]).dtype == np.int8
        and (_input(node, zero_point) is None or is_constant(_input(node, zero_point)))
    ]


def _input(node: ir.Node, index: int) -> ir.Value | None:
    return node.inputs[index] if index < len(node.inputs) else None


def _shifted(edits: Edits, value: ir.Value | None, known: dict[ir.Value, ir.Value]) -> ir.Value:
    if value is None:  # the operators' default is zero
        return edits.constant("zero_point.unsigned", np.array(128, np.uint8))
    if value not in known:
        unsigned = (array_of(value).astype(np.int16) + 128).astype(np.uint8)
        known[value] = edits.constant(f"{value.name}.unsigned", unsigned)
    return known[value]
