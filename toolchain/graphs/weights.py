"""Weights of products, lookups and recurrent operators, with the axes that share a quantization scale.

A correction may have chosen a weight's integers already. Such a weight is a multiple of its scales, and only a
quantizer that uses the same scales finds the same integers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from runtimes.tensors import Array
from toolchain.graphs.edits import is_constant

RECURRENT = frozenset({"LSTM", "GRU", "RNN"})

_SCALES_KEY = "edgewright.scales"


@dataclass(frozen=True)
class Operand:
    """A constant float32 operand.

    Attributes:
        index: its index among the node's inputs.
        summed: the axes that share a scale: those that a product sums over, or those of a table's rows.
    """

    node: ir.Node
    index: int
    value: ir.Value
    summed: tuple[int, ...]


def operands(model: ir.Model, keep: Collection[str]) -> Iterator[Operand]:
    """Yield the weights of a model and its subgraphs, except those of the nodes named in `keep`."""
    for node in model.graph.all_nodes():
        axes = None if node.domain or node.name in keep else _SUMMED.get(node.op_type)
        for index in (0, 1, 2) if axes else ():
            value = node.inputs[index] if index < len(node.inputs) else None
            if value is None or not is_constant(value) or value.dtype != ir.DataType.FLOAT or not value.shape:
                continue
            summed = axes(node, index, len(value.shape)) if axes else None
            if summed is not None:
                yield Operand(node, index, value, summed)


def set_scales(weight: ir.Value, scales: Array) -> None:
    """Note the scales of a constant: float32, one per output channel, or a scalar."""
    weight.meta[_SCALES_KEY] = scales


def scales_of(weight: ir.Value) -> Array | None:
    """Return the scales that a correction noted; None if there are none."""
    scales: Array | None = weight.meta.get(_SCALES_KEY)
    return scales


def _conv(node: ir.Node, index: int, rank: int) -> tuple[int, ...] | None:
    return tuple(range(1, rank)) if index == 1 else None


def _conv_transpose(node: ir.Node, index: int, rank: int) -> tuple[int, ...] | None:
    # The weight is [C, M / groups, ...]: with groups, no axis is the output channels, so each pair gets a scale.
    first = 0 if node.attributes.get_int("group", 1) == 1 else 2
    return tuple(axis for axis in range(first, rank) if axis != 1) if index == 1 else None


def _gemm(node: ir.Node, index: int, rank: int) -> tuple[int, ...] | None:
    if index > 1:
        return None  # the bias
    flipped = bool(node.attributes.get_int(("transA", "transB")[index], 0))
    return (int(flipped == (index == 1)),)


def _matmul(node: ir.Node, index: int, rank: int) -> tuple[int, ...] | None:
    if index > 1:
        return None
    return (rank - 1,) if index == 0 or rank == 1 else (rank - 2,)


def _gather(node: ir.Node, index: int, rank: int) -> tuple[int, ...] | None:
    is_table = index == 0 and rank > 1 and node.attributes.get_int("axis", 0) == 0
    return tuple(range(1, rank)) if is_table else None


def _recurrent(node: ir.Node, index: int, rank: int) -> tuple[int, ...] | None:
    return (2,) if index in (1, 2) else None  # W [directions, gates * hidden, input], R [.., .., hidden]


_SUMMED: Mapping[str, Callable[[ir.Node, int, int], tuple[int, ...] | None]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Gather": _gather,
    **dict.fromkeys(RECURRENT, _recurrent),
}
