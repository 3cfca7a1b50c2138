"""How many multiply-accumulates an operator takes, from the shapes of what it reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

Shapes = Sequence[Sequence[int]]

_ONNX, _MICROSOFT = "", "com.microsoft"
# ONNX's operators with products of which shapes alone do not tell how many.
_UNKNOWN = frozenset({"Attention", "DeformConv", "DFT", "Einsum", "LinearAttention", "STFT"})
# com.microsoft's without any, as quantizers and ONNX Runtime's optimizer write them.
_NO_PRODUCTS = frozenset(
    "QuantizeLinear DequantizeLinear QLinearAdd QLinearMul QLinearSigmoid QLinearLeakyRelu QLinearSoftmax "
    "QLinearConcat QLinearWhere QLinearAveragePool QLinearGlobalAveragePool QLinearReduceMean Gelu FastGelu BiasGelu "
    "QuickGelu BiasAdd BiasSoftmax SkipLayerNormalization SkipSimplifiedLayerNormalization".split()
)


def macs(op: str, domain: str | None, inputs: Shapes, outputs: Shapes) -> int | None:
    """Multiply-accumulates of one run of an operator, what padding adds included.

    Args:
        op: the operator's type.
        domain: where it is defined; empty for ONNX's own, None where only the type is known.
        inputs: shapes of the tensors it read, those that were left out skipped.
        outputs: shapes of the tensors it wrote.

    Returns:
        Their number, 0 for an operator without products; None where that cannot be told.
    """
    domain = _ONNX if domain == "ai.onnx" else domain
    count = next((counts[op] for name, counts in _COUNTS.items() if domain in (name, None) and op in counts), None)
    if count is not None:
        try:
            return count(inputs, outputs)
        except (IndexError, ValueError):  # a shape that it takes is not there
            return None
    if domain == _MICROSOFT:
        return 0 if op in _NO_PRODUCTS else None
    return 0 if domain in (_ONNX, None) and op not in _UNKNOWN else None


def _convolution(weight: int) -> Callable[[Shapes, Shapes], int]:
    """Each output sums over its group's channels and the window: the weight's axes but the first."""
    return lambda inputs, outputs: prod(outputs[0]) * prod(inputs[weight][1:])


def _transposed(inputs: Shapes, _: Shapes) -> int:
    """Each input goes to its group's output channels, over the window."""
    return prod(inputs[0]) * prod(inputs[1][1:])


def _matmul(inputs: Shapes, outputs: Shapes) -> int:
    return prod(outputs[0]) * inputs[0][-1]


def _gemm(inputs: Shapes, outputs: Shapes) -> int:
    """Of [M, K], transposed or not, and [M, N]."""
    rows, columns = outputs[0]
    return prod(inputs[0]) * columns if rows else 0


def _recurrent(inputs: Shapes, _: Shapes) -> int:
    """Each step of each sequence multiplies by W and R, of all gates and both directions."""
    steps = prod(inputs[0][:2])  # the sequence and the batch, in either order
    return steps * (prod(inputs[1]) + prod(inputs[2]))


_COUNTS: Mapping[str, Mapping[str, Callable[[Shapes, Shapes], int]]] = {
    _ONNX: {
        "Conv": _convolution(1),
        "ConvInteger": _convolution(1),
        "QLinearConv": _convolution(3),
        "ConvTranspose": _transposed,
        "MatMul": _matmul,
        "MatMulInteger": _matmul,
        "QLinearMatMul": _matmul,
        "Gemm": _gemm,
        **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    },
    _MICROSOFT: {
        "DynamicQuantizeLSTM": _recurrent,
        "DynamicQuantizeMatMul": _matmul,
        "MatMulIntegerToFloat": _matmul,
        "QGemm": _gemm,
    },
}
