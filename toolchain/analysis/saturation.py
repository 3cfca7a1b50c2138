"""Saturation of u8 x s8 products on an x86 CPU without VNNI, computed from samples on any machine.

On such a CPU, `vpmaddubsw` multiplies two neighbouring activations with their weights and adds the two products in
int16, which saturates. ONNX Runtime's kernels pair k with k + 1, for even k, along the axis that a product sums over: a
matrix's rows, or a convolution's window in the order (position, channel). `benchmarks/saturation.py` compares the
result with emulated runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hwbench.data.dataset import Dataset
from runtimes.tensors import Array
from toolchain.analysis.im2col import columns
from toolchain.graphs.edits import Edits, array_of, is_constant
from toolchain.graphs.products import PRODUCTS
from toolchain.models import ort_session

_LOW, _HIGH = -32768, 32767  # int16
_LARGEST_ACTIVATION = 255  # u8


@dataclass(frozen=True)
class LayerSaturation:
    """Saturation of one layer, over all samples.

    Attributes:
        node: the layer's name.
        op: its operator.
        share: the share of the sums of two products that int16 cannot hold.
        largest_excess: the largest distance of such a sum from int16's range.
        relative_error: the error at the layer's output: sqrt(sum of squared errors / sum of squared outputs).
    """

    node: str
    op: str
    share: float = 0.0
    largest_excess: int = 0
    relative_error: float = 0.0


def saturation(model: ir.Model, data: Dataset) -> list[LayerSaturation]:
    """Compute the saturation of every layer with u8 activations and s8 weights, the worst first.

    Samples pass one by one through the model in exact arithmetic, which never saturates, and the integers that layers
    read are multiplied here. The result is exact, and memory is that of one sample. Layers whose weights cannot
    overflow with any activation are not computed.

    Args:
        model: an int8 model; it stays unchanged.
        data: the calibration samples.

    Raises:
        UsageError: ONNX Runtime cannot load the model or fails on a sample; the message gives its reason.
    """
    layers = _layers(model)
    risky = [layer for layer in layers if layer.pairs]
    tallies = {layer.index: _Tally(layer) for layer in risky}
    if risky:
        session = ort_session.exact_session(_observer_graph(model, risky))
        for _, outputs in ort_session.over_samples(session, data):
            for layer, integers, signal in zip(risky, outputs[: len(risky)], outputs[len(risky) :]):
                tallies[layer.index].add(integers, float(signal))
    found = [
        tallies[layer.index].result() if layer.pairs else LayerSaturation(layer.name, layer.node.op_type)
        for layer in layers
    ]
    return sorted(found, key=lambda layer: -layer.relative_error)


@dataclass(frozen=True)
class _Pair:
    """Two neighbouring k and the output channels that they could overflow in.

    Attributes:
        first: the first k; in a grouped Conv, k counts through the windows of all groups.
        channels: output channels [n].
        weights: of both k, int32 [2, n].
    """

    first: int
    channels: Array
    weights: Array


@dataclass(frozen=True)
class _Layer:
    """A product of u8 activations and s8 weights.

    Attributes:
        index: the node's index in the graph.
        node: the operator.
        zero_point: the activations' zero point.
        weight: the integers in the graph's layout.
        scales: the output's scale, or one per output channel.
        pairs: the pairs that can overflow.
        sums: the number of pairs that add up to one output.
        channels: the number of output channels.
    """

    index: int
    node: ir.Node
    zero_point: int
    weight: Array
    scales: Array
    pairs: Sequence[_Pair]
    sums: int
    channels: int

    @property
    def name(self) -> str:
        return str(self.node.name or self.node.outputs[0].name)


def _layers(model: ir.Model) -> list[_Layer]:
    found = []
    for index, node in enumerate(model.graph):
        operands = _dynamic(node) if node.op_type == "MatMulInteger" else _static(node)
        matrices = _matrices(node, operands[1]) if operands is not None else None
        if operands is not None and matrices is not None:
            groups, depth, width = matrices.shape
            found.append(_Layer(index, node, *operands, list(_pairs(matrices)), (depth + 1) // 2, groups * width))
    return found


def _static(node: ir.Node) -> tuple[int, Array, Array] | None:
    """Read the zero point, weights and scales of a product after Q/DQ pairs; None if it is not u8 x s8."""
    if node.op_type not in PRODUCTS or node.domain:
        return None
    left, right = _producer(node.inputs[0]), _producer(node.inputs[1])
    if any(pair is None or pair.op_type != "DequantizeLinear" or len(pair.inputs) < 3 for pair in (left, right)):
        return None
    assert left is not None and right is not None
    if not is_constant(right.inputs[0]) or not all(is_constant(v) for v in (*left.inputs[1:], *right.inputs[1:])):
        return None
    weight, zero_point = array_of(right.inputs[0]), array_of(left.inputs[2])
    if weight.dtype != np.int8 or zero_point.dtype != np.uint8:
        return None
    return int(zero_point), weight, array_of(left.inputs[1]) * np.atleast_1d(array_of(right.inputs[1]))


def _dynamic(node: ir.Node) -> tuple[int, Array, Array] | None:
    """Read the weights of a MatMulInteger after a DynamicQuantizeLinear; None if they are not s8.

    The scale is 1, since the output has none yet, and the zero point is 0, since only the padding of a Conv needs one.
    """
    source, weight = _producer(node.inputs[0]), node.inputs[1]
    if source is None or source.op_type != "DynamicQuantizeLinear" or not is_constant(weight):
        return None
    integers = array_of(weight)
    return (0, integers, np.ones(1)) if integers.dtype == np.int8 else None


def _producer(value: ir.Value | None) -> ir.Node | None:
    return value.producer() if value is not None else None


def _matrices(node: ir.Node, weight: Array) -> Array | None:
    """Lay out weights as int32 [groups, k, channels of a group], k in the kernel's order; None for other kernels."""
    if node.op_type == "Conv":
        groups = node.attributes.get_int("group", 1)
        if weight.shape[1] == 1 and groups == weight.shape[0]:
            return None  # the depthwise kernel does not add pairs
        k_last = np.moveaxis(weight, 1, -1).reshape(groups, weight.shape[0] // groups, -1)
        return np.asarray(k_last.transpose(0, 2, 1), np.int32)
    if weight.ndim != 2 or node.attributes.get_int("transA", 0) != 0:
        return None
    transposed = node.op_type == "Gemm" and node.attributes.get_int("transB", 0) != 0
    return np.asarray(weight.T if transposed else weight, np.int32)[None]


def _pairs(matrices: Array) -> Iterator[_Pair]:
    """Find the pairs that overflow with the largest activations; a last k without a neighbour cannot."""
    _, depth, width = matrices.shape
    for group, matrix in enumerate(matrices):
        firsts, seconds = matrix[: depth - 1 : 2], matrix[1::2]
        most = _LARGEST_ACTIVATION * (np.maximum(firsts, 0) + np.maximum(seconds, 0))
        least = _LARGEST_ACTIVATION * (np.minimum(firsts, 0) + np.minimum(seconds, 0))
        over = (most > _HIGH) | (least < _LOW)
        for pair in np.flatnonzero(over.any(axis=1)):
            selected = np.flatnonzero(over[pair])
            weights = np.stack([firsts[pair, selected], seconds[pair, selected]])
            yield _Pair(group * depth + 2 * int(pair), group * width + selected, weights)


def _observer_graph(model: ir.Model, layers: Sequence[_Layer]) -> ir.Model:
    """Build a model whose outputs are the integers that the layers read, then the sums of squares of their outputs."""
    observer = model.clone()
    graph, edits = observer.graph, Edits(observer.graph)
    nodes = list(graph)
    graph.outputs.clear()
    for layer in layers:
        operand = nodes[layer.index].inputs[0]
        pair = _producer(operand) if layer.node.op_type in PRODUCTS else None
        integers = pair.inputs[0] if pair is not None else operand
        copy = edits.node("Identity", [integers], f"{layer.name}.integers")  # several layers may read one value
        copy.outputs[0].type = ir.TensorType(ir.DataType.UINT8)
        graph.append(copy)
        graph.outputs.append(copy.outputs[0])
    for layer in layers:
        real = edits.cast(nodes[layer.index].outputs[0], ir.DataType.FLOAT, f"{layer.name}.real")
        signal = edits.node("ReduceSumSquare", real.outputs, f"{layer.name}.signal", attributes={"keepdims": 0})
        signal.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
        graph.extend([real, signal])
        graph.outputs.append(signal.outputs[0])
    return observer


class _Tally:
    """Sums of one layer's saturation over samples."""

    def __init__(self, layer: _Layer) -> None:
        self._layer = layer
        self._sums = self._beyond = self._largest = 0
        self._signal = self._noise = 0.0

    def add(self, integers: Array, signal: float) -> None:
        """Add one inference: the integers that the layer read, and the sum of squares of its exact output."""
        layer = self._layer
        column = columns(layer.node, layer.weight.shape, integers, layer.zero_point)
        rows = len(column(0))
        errors = np.zeros((rows, layer.channels), np.int64)
        for pair in layer.pairs:
            self._add_pair(pair, column(pair.first), column(pair.first + 1), errors)
        self._sums += rows * layer.channels * layer.sums
        self._signal += signal
        self._noise += float(((errors * layer.scales) ** 2).sum())

    def _add_pair(self, pair: _Pair, first: Array, second: Array, errors: Array) -> None:
        most, least = (np.maximum(pair.weights, 0).max(axis=1), np.minimum(pair.weights, 0).min(axis=1))
        bounds = (first * weight[0] + second * weight[1] for weight in (most, least))
        rows = np.flatnonzero(np.logical_or(*(_excess(bound) != 0 for bound in bounds)))
        if not rows.size:
            return
        sums = first[rows, None] * pair.weights[0] + second[rows, None] * pair.weights[1]
        excess = _excess(sums)
        self._beyond += int(np.count_nonzero(excess))
        self._largest = max(self._largest, int(np.abs(excess).max()))
        errors[np.ix_(rows, pair.channels)] += excess

    def result(self) -> LayerSaturation:
        """Compute the layer's result."""
        error = float(np.sqrt(self._noise / self._signal)) if self._signal else 0.0
        share = self._beyond / self._sums if self._sums else 0.0
        return LayerSaturation(self._layer.name, self._layer.node.op_type, share, self._largest, error)


def _excess(sums: Array) -> Array:
    return np.asarray(sums - np.clip(sums, _LOW, _HIGH))
