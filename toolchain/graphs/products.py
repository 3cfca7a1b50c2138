"""Products with constant matrices: Conv, MatMul and Gemm."""

from __future__ import annotations

import onnx_ir as ir

PRODUCTS = frozenset({"Conv", "Gemm", "MatMul"})


def channel_axis(node: ir.Node) -> int | None:
    """Find the axis of output channels in an operator's weight; None if no integer kernel supports its form.

    Integer kernels support a Gemm without alpha, beta and transA.
    """
    operand = node.inputs[1]
    rank = len(operand.shape) if operand is not None and operand.shape is not None else 0
    if node.op_type == "Conv":
        return 0
    if node.op_type == "MatMul":
        return 1 if rank == 2 else None
    factors = [node.attributes.get_float(name, 1.0) for name in ("alpha", "beta")]
    if node.attributes.get_int("transA", 0) or factors != [1.0, 1.0]:
        return None
    return 0 if node.attributes.get_int("transB", 0) else 1
