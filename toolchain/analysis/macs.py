"""Number of multiply-accumulates of an operator, from the shapes of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

Shapes = Sequence[Sequence[int]]

_ONNX, _MICROSOFT = "", "com.microsoft"
# The shapes of these operators do not determine the number of their products.
_UNKNOWN = frozenset({"Attention", "DeformConv", "DFT", "Einsum", "LinearAttention", "STFT"})
# These operators of com.microsoft, from quantizers and ONNX Runtime's optimizer, have no products.
_NO_PRODUCTS = frozenset(
    "QuantizeLinear DequantizeLinear QLinearAdd QLinearMul QLinearSigmoid QLinearLeakyRelu QLinearSoftmax "
    "QLinearConcat QLinearWhere QLinearAveragePool QLinearGlobalAveragePool QLinearReduceMean Gelu FastGelu BiasGelu "
    "QuickGelu BiasAdd BiasSoftmax SkipLayerNormalization SkipSimplifiedLayerNormalization".split()
)


def macs(op: str, domain: str | None, inputs: Shapes, outputs: Shapes) -> int | None:
    """Count the multiply-accumulates of one run of an operator, including those of padding.

    Args:
        op: the operator's type.
        domain: the operator's domain; empty for ONNX's own, None if only the type is known.
        inputs: shapes of the input tensors, without omitted ones.
        outputs: shapes of the output tensors.

    Returns:
        The number, which is 0 for an operator without products; None if it cannot be determined.
    """
    domain = _ONNX if domain == "ai.onnx" else domain
    count = next((counts[op] for name, counts in _COUNTS.items() if domain in (name, None) and op in counts), None)
    if count is not None:
        try:
            return count(inputs, outputs)
        except (IndexError, ValueError):  # a needed shape is missing
            return None
    if domain == _MICROSOFT:
        return 0 if op in _NO_PRODUCTS else None
    return 0 if domain in (_ONNX, None) and op not in _UNKNOWN else None


def _convolution(weight: int) -> Callable[[Shapes, Shapes], int]:
    """Make a counter for convolutions, whose outputs sum over all axes of the weight except the first."""
    return lambda inputs, outputs: prod(outputs[0]) * prod(inputs[weight][1:])


def _transposed(inputs: Shapes, _: Shapes) -> int:
    """Count a transposed convolution, whose inputs are added to the output channels of their group over the window."""
    return prod(inputs[0]) * prod(inputs[1][1:])


def _matmul(inputs: Shapes, outputs: Shapes) -> int:
    return prod(outputs[0]) * inputs[0][-1]


def _gemm(inputs: Shapes, outputs: Shapes) -> int:
    """Count a Gemm from the shapes [M, K], in any order, and [M, N]."""
    rows, columns = outputs[0]
    return prod(inputs[0]) * columns if rows else 0


def _recurrent(inputs: Shapes, _: Shapes) -> int:
    """Count a recurrent operator: each step multiplies by W and R, for all gates and directions."""
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
