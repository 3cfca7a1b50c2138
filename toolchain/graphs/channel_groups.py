"""Groups of channels that must share a scale for a model to compute the same.

Dividing a channel by a positive number before a ReLU and multiplying the weights that read it after the ReLU changes
nothing. Each operator ties channels in its own way: an Add needs one scale for the channels that it adds, a Concat lays
channels side by side, and an operator without a rule here needs the scale 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from runtimes.tensors import Array
from toolchain.graphs.channel_scaling import Axis, layer_axes
from toolchain.graphs.edits import array_of, is_constant


@dataclass(frozen=True)
class Channels:
    """Classes of channels that share a scale.

    Attributes:
        classes: per axis, the class of each channel: int [channels].
        free: true for the classes that can have a scale other than 1: bool [classes].
    """

    classes: Mapping[Axis, Array]
    free: Array


def channel_classes(graph: ir.Graph) -> Channels:
    """Group the channels of a prepared graph's values into classes that share a scale."""
    ties = _Ties(graph)
    for node in graph:
        _RULES.get(node.op_type, _opaque)(node, ties) if not node.domain else _opaque(node, ties)
    return ties.finish()


class _Ties:
    """A graph with channels as vertices and an edge between two that share a scale."""

    def __init__(self, graph: ir.Graph) -> None:
        self.vertices: dict[Axis, Array] = {}
        self._edges: list[tuple[Array, Array]] = []
        self._fixed: list[Array] = []
        self._n = 0
        for value in [*graph.inputs, *(value for node in graph for value in node.outputs)]:
            self._add(value)
        for value in list(dict.fromkeys(value for value, _ in self.vertices)):
            # The user sees inputs and outputs, and no rule follows values into subgraphs.
            inner = any(use.node.graph is not graph for use in value.uses())
            if inner or value.is_graph_output() or value.is_graph_input():
                self.fix(value)

    def _add(self, value: ir.Value) -> None:
        if value.shape is None or value.dtype != ir.DataType.FLOAT or len(value.shape) < 2:
            return
        for axis in dict.fromkeys((1, len(value.shape) - 1)):
            size = value.shape[axis]
            if isinstance(size, int):
                self.vertices[value, axis] = np.arange(self._n, self._n + size)
                self._n += size

    def of(self, value: ir.Value | None, axis: int) -> Array | None:
        return None if value is None else self.vertices.get((value, axis))

    def fix(self, value: ir.Value | None, except_axis: int | None = None) -> None:
        """Give a value's channels the scale 1, on all axes but one."""
        self._fixed += [ids for (other, axis), ids in self.vertices.items() if other is value and axis != except_axis]

    def fix_channels(self, *channels: Array | None) -> None:
        self._fixed += [ids for ids in channels if ids is not None]

    def tie(self, first: Array | None, second: Array | None) -> None:
        """Give each pair of channels one scale; channels without a counterpart get the scale 1."""
        if first is None or second is None or len(first) != len(second):
            self.fix_channels(first, second)
        else:
            self._edges.append((first, second))

    def finish(self) -> Channels:
        rows, columns = (np.concatenate([np.zeros(0, int), *(edge[i] for edge in self._edges)]) for i in range(2))
        matrix = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(self._n, self._n))
        n, classes = connected_components(matrix, directed=False)
        free = np.ones(n, bool)
        for ids in self._fixed:
            free[classes[ids]] = False
        return Channels({axis: classes[ids] for axis, ids in self.vertices.items()}, free)


def _opaque(node: ir.Node, ties: _Ties) -> None:
    for value in [*node.inputs, *node.outputs]:
        ties.fix(value)


def _layer(node: ir.Node, ties: _Ties) -> None:
    axes = layer_axes(node)
    if axes is None:
        _opaque(node, ties)
        return
    normalizes = node.op_type == "LayerNormalization"
    for value in node.inputs:
        ties.fix(value, except_axis=None if normalizes else axes[0])
    ties.fix(node.outputs[0], except_axis=axes[1])
    for value in node.outputs[1:]:
        ties.fix(value)


def _mul(node: ir.Node, ties: _Ties) -> None:
    if layer_axes(node) is not None:
        _layer(node, ties)
        return
    gates = [value for value in node.inputs if value is not None and (_is_gate(value) or _is_scalar(value))]
    others = [value for value in node.inputs if value not in gates]
    if len(gates) != 1 or len(others) != 1:
        _opaque(node, ties)
        return
    ties.fix(gates[0])
    _tie_all(others[0], node.outputs[0], ties)


def _is_gate(value: ir.Value) -> bool:
    producer = value.producer()
    return producer is not None and producer.op_type in ("Sigmoid", "HardSigmoid")


def _is_scalar(value: ir.Value) -> bool:
    return is_constant(value) and array_of(value).size == 1


def _elementwise(node: ir.Node, ties: _Ties) -> None:
    """Tie the channels of Add, and of operators that commute with a positive factor."""
    for value in node.inputs:
        if not is_constant(value):
            _tie_all(value, node.outputs[0], ties)


def _tie_all(first: ir.Value | None, second: ir.Value, ties: _Ties) -> None:
    if first is None or first.shape is None or second.shape is None or len(first.shape) != len(second.shape):
        ties.fix(first)
        ties.fix(second)
        return
    for axis in dict.fromkeys((1, len(second.shape) - 1)):
        ties.tie(ties.of(first, axis), ties.of(second, axis))


def _spatial(node: ir.Node, ties: _Ties) -> None:
    """Tie the channels of axis 1, which pooling, resizing and padding treat alike."""
    source, output = node.inputs[0], node.outputs[0]
    extrapolates = node.attributes.get_string("coordinate_transformation_mode", "") == "tf_crop_and_resize"
    fills = node.op_type == "Pad" and len(node.inputs) > 2 and node.inputs[2] is not None
    if extrapolates or len(node.outputs) > 1 or (fills and not _is_zero(node.inputs[2])):
        _opaque(node, ties)
        return
    ties.fix(source, except_axis=1)
    ties.fix(output, except_axis=1)
    ties.tie(ties.of(source, 1), ties.of(output, 1))


def _is_zero(value: ir.Value | None) -> bool:
    return is_constant(value) and not array_of(value).any()


def _flatten(node: ir.Node, ties: _Ties) -> None:
    """Tie channels of [N, C, ...] to [N, C * ...], where each channel becomes a run of channels."""
    source, output = node.inputs[0], node.outputs[0]
    ids, flat = ties.of(source, 1), ties.of(output, 1)
    if source is None or source.shape is None or output.shape is None or ids is None or flat is None:
        _opaque(node, ties)
        return
    sizes = [size for size in source.shape[2:] if isinstance(size, int)]
    per_channel = len(flat) // len(ids)
    same = len(output.shape) == 2 and source.shape[0] == output.shape[0] and len(sizes) == len(source.shape) - 2
    if not same or per_channel != np.prod(sizes):
        _opaque(node, ties)
        return
    ties.fix(source, except_axis=1)
    ties.tie(np.repeat(ids, per_channel), flat)


def _concat(node: ir.Node, ties: _Ties) -> None:
    shape = node.outputs[0].shape
    _tie_pieces(node.outputs[0], node.inputs, node.attributes.get_int("axis") % len(shape) if shape else 0, ties)


def _split(node: ir.Node, ties: _Ties) -> None:
    source = node.inputs[0]
    shape = source.shape if source is not None else None
    if source is None or shape is None:
        _opaque(node, ties)
        return
    _tie_pieces(source, node.outputs, node.attributes.get_int("axis", 0) % len(shape), ties)


def _tie_pieces(whole: ir.Value, pieces: Sequence[ir.Value | None], cut: int, ties: _Ties) -> None:
    """Tie a value to its parts along the axis `cut`."""
    for axis in dict.fromkeys((1, len(whole.shape or ()) - 1)):
        parts = [ties.of(piece, axis) for piece in pieces]
        ids = ties.of(whole, axis)
        if axis != cut:
            for part in parts:
                ties.tie(part, ids)
        elif any(part is None for part in parts):
            ties.fix_channels(ids, *parts)
        else:
            ties.tie(np.concatenate([part for part in parts if part is not None]), ids)


_RULES: Mapping[str, Callable[[ir.Node, _Ties], None]] = {
    **dict.fromkeys(("Conv", "Gemm", "MatMul", "LayerNormalization"), _layer),
    **dict.fromkeys(("Relu", "LeakyRelu", "Identity", "Abs", "Neg", "Add", "Sub"), _elementwise),
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Resize", "Pad"), _spatial),
    **dict.fromkeys(("Flatten", "Reshape"), _flatten),
    "Mul": _mul,
    "Concat": _concat,
    "Split": _split,
}
