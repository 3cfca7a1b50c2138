"""Precision in which each of a model's products is computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import onnx_ir as ir

from toolchain.graphs.products import PRODUCTS
from toolchain.graphs.weights import RECURRENT

_OTHERS = RECURRENT | {"ConvTranspose", "Attention"}
INTEGER = frozenset(
    {"MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul"}
    | {"DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QGemm"}
)
"""Operators that compute products on integers: those of ONNX, then those of com.microsoft."""

_HALVES = {ir.DataType.FLOAT16: "fp16", ir.DataType.BFLOAT16: "bf16"}


def by_precision(model: ir.Model, floats: str) -> Mapping[str, int]:
    """Count the products per precision; `floats` is the precision in which the runtime computes float32."""
    counts = Counter(precision_of(node, floats) for node in model.graph.all_nodes() if _is_product(node))
    return dict(sorted(counts.items()))


def precision_of(node: ir.Node, floats: str) -> str:
    """Find the precision of a product; `floats` if the graph has it in float32."""
    operands = [value for value in node.inputs[:2] if value is not None]
    writers = [producer.op_type if (producer := value.producer()) is not None else "" for value in operands]
    # Runtimes have no integer kernels for recurrent operators between Q/DQ pairs.
    dequantized = writers == ["DequantizeLinear", "DequantizeLinear"] and node.op_type not in RECURRENT
    if node.op_type in INTEGER or dequantized:
        return "int8"
    return next((_HALVES[value.dtype] for value in operands if value.dtype in _HALVES), floats)


def _is_product(node: ir.Node) -> bool:
    return node.op_type in INTEGER or (node.op_type in PRODUCTS | _OTHERS and not node.domain)
