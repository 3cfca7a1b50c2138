"""What precision each of a model's products is computed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import onnx_ir as ir

from toolchain.graphs.products import PRODUCTS

_OTHERS = frozenset({"ConvTranspose", "LSTM", "GRU", "RNN", "Attention"})
_INTEGER = frozenset({"MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul"})
_HALVES = {ir.DataType.FLOAT16: "fp16", ir.DataType.BFLOAT16: "bf16"}


def by_precision(model: ir.Model, floats: str) -> Mapping[str, int]:
    """How many products there are per precision; `floats` is what the runtime computes float32 in."""
    counts = Counter(_precision(node, floats) for node in model.graph.all_nodes() if _is_product(node))
    return dict(sorted(counts.items()))


def _is_product(node: ir.Node) -> bool:
    return node.op_type in PRODUCTS | _OTHERS | _INTEGER and not node.domain


def _precision(node: ir.Node, floats: str) -> str:
    operands = [value for value in node.inputs[:2] if value is not None]
    writers = [producer.op_type if (producer := value.producer()) is not None else "" for value in operands]
    if node.op_type in _INTEGER or writers == ["DequantizeLinear", "DequantizeLinear"]:
        return "int8"
    return next((_HALVES[value.dtype] for value in operands if value.dtype in _HALVES), floats)
