"""Where u8 x s8 arithmetic overflows int16 on an x86 CPU without VNNI, known from samples, on any machine.

There, `vpmaddubsw` multiplies two neighbouring activations with their weights and adds the two products in int16,
which saturates. ONNX Runtime's kernels pair k with k + 1, k even, along what a product sums over: a matrix's rows, and
a convolution's window in the order (position, channel). `benchmarks/saturation.py` compares this with emulated runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from runtimes.samples import Rows
from runtimes.tensors import Array, TensorSpec
from toolchain.analysis.im2col import columns
from toolchain.graphs.edits import Edits, array_of, is_constant
from toolchain.graphs.products import PRODUCTS
from toolchain.models import ort_session

_LOW, _HIGH = -32768, 32767
_LARGEST_ACTIVATION = 255


@dataclass(frozen=True)
class LayerSaturation:
    """What saturates in one layer, over all samples.

    Attributes:
        node: the layer's name.
        share: of the sums of two products, how many int16 cannot hold.
        largest_excess: by how much the largest is beyond int16.
        relative_error: what saturation does to the layer's output: sqrt(sum of squared errors / of squared outputs).
    """

    node: str
    op: str
    share: float = 0.0
    largest_excess: int = 0
    relative_error: float = 0.0


def saturation(model: ir.Model, specs: Sequence[TensorSpec], arrays: Mapping[str, Rows]) -> list[LayerSaturation]:
    """Every layer of u8 activations and s8 weights, the worst first.

    Samples pass one by one through the model as its Q/DQ pairs define it, which saturates nowhere, and the integers
    that layers read are multiplied in full: exact, in the memory of one sample. Layers whose weights no activation
    could bring to overflow are not looked into.

    Args:
        model: an int8 model; left as it is.
        specs: its inputs.
        arrays: samples, one array per input, samples first.

    Raises:
        UsageError: ONNX Runtime cannot load the model or fails on a sample; passes its reason on.
    """
    layers = _layers(model)
    risky = [layer for layer in layers if layer.pairs]
    tallies = {layer.index: _Tally(layer) for layer in risky}
    if risky:
        session = ort_session.exact_session(_watcher(model, risky))
        for _, outputs in ort_session.over_samples(session, specs, arrays):
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
        first: the first k; in a grouped Conv, of all groups' windows one after the other.
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
        index: of its node in the graph.
        zero_point: of the activations.
        weight: as the graph has it.
        scales: of what it writes: one, or one per output channel.
        pairs: those that could overflow.
        sums: pairs that add up to one output.
        channels: of the output.
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
    """The zero point, weights and scales of a product behind Q/DQ pairs; None where it is no u8 x s8."""
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
    """The same of a MatMulInteger behind a DynamicQuantizeLinear, whose output is in integers."""
    source, weight = _producer(node.inputs[0]), node.inputs[1]
    if source is None or source.op_type != "DynamicQuantizeLinear" or not is_constant(weight):
        return None
    integers = array_of(weight)
    return (0, integers, np.ones(1)) if integers.dtype == np.int8 else None


def _producer(value: ir.Value | None) -> ir.Node | None:
    return value.producer() if value is not None else None


def _matrices(node: ir.Node, weight: Array) -> Array | None:
    """Weights as int32 [groups, k, channels of a group], k in the kernel's order; None where none of these computes."""
    if node.op_type == "Conv":
        groups = node.attributes.get_int("group", 1)
        if weight.shape[1] == 1 and groups == weight.shape[0]:
            return None  # depthwise has a kernel of its own, which does not add pairs
        k_last = np.moveaxis(weight, 1, -1).reshape(groups, weight.shape[0] // groups, -1)
        return np.asarray(k_last.transpose(0, 2, 1), np.int32)
    if weight.ndim != 2 or node.attributes.get_int("transA", 0) != 0:
        return None
    transposed = node.op_type == "Gemm" and node.attributes.get_int("transB", 0) != 0
    return np.asarray(weight.T if transposed else weight, np.int32)[None]


def _pairs(matrices: Array) -> Iterator[_Pair]:
    """Where the largest activations would overflow. A last k without a neighbour cannot."""
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


def _watcher(model: ir.Model, layers: Sequence[_Layer]) -> ir.Model:
    """A model whose outputs are the integers that the layers read, then the sums of squares of what they write."""
    watched = model.clone()
    graph, edits = watched.graph, Edits(watched.graph)
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
    return watched


class _Tally:
    """Sums up one layer over samples."""

    def __init__(self, layer: _Layer) -> None:
        self._layer = layer
        self._sums = self._beyond = self._largest = 0
        self._signal = self._noise = 0.0

    def add(self, integers: Array, signal: float) -> None:
        """Count one inference: what the layer read, and the sum of squares of what it should have written."""
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
        """What the layer's samples came to."""
        error = float(np.sqrt(self._noise / self._signal)) if self._signal else 0.0
        share = self._beyond / self._sums if self._sums else 0.0
        return LayerSaturation(self._layer.name, self._layer.node.op_type, share, self._largest, error)


def _excess(sums: Array) -> Array:
    return np.asarray(sums - np.clip(sums, _LOW, _HIGH))
