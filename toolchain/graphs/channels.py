"""Which channels of which values can be scaled together without changing what a model computes.

Dividing a channel by a positive number on one side of a ReLU and multiplying the weights that read it on the other
changes nothing. What is tied to what follows from the operators: an Add wants one scale for the channels that it adds,
a Concat only lays them side by side, and an operator that is not known here wants the scale 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from runtimes.tensors import Array
from toolchain.graphs.edits import Edits, array_of, drop_unused_initializers, is_constant

Axis = tuple[ir.Value, int]
"""A value's axis of channels: 1 as Conv has it, or the last, as MatMul has it."""


@dataclass(frozen=True)
class Channels:
    """The classes of channels that share a scale.

    Attributes:
        classes: per axis, the class of each channel: int [channels].
        free: which classes can have a scale: bool [classes].
    """

    classes: Mapping[Axis, Array]
    free: Array


def channel_classes(graph: ir.Graph) -> Channels:
    """Find the channels of a prepared graph's values that scale together."""
    ties = _Ties(graph)
    for node in graph:
        _RULES.get(node.op_type, _opaque)(node, ties) if not node.domain else _opaque(node, ties)
    return ties.finish()


class _Ties:
    """Channels as vertices, and the edges between those that share a scale."""

    def __init__(self, graph: ir.Graph) -> None:
        self.vertices: dict[Axis, Array] = {}
        self._edges: list[tuple[Array, Array]] = []
        self._fixed: list[Array] = []
        self._n = 0
        for value in [*graph.inputs, *(value for node in graph for value in node.outputs)]:
            self._add(value)
        for value in list(dict.fromkeys(value for value, _ in self.vertices)):
            # Inputs and outputs are the user's, and what a branch of an If reads is not followed.
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

    def fix(self, value: ir.Value | None, but: int | None = None) -> None:
        """Leave a value as it is, on all axes but one."""
        self._fixed += [ids for (other, axis), ids in self.vertices.items() if other is value and axis != but]

    def fix_channels(self, *channels: Array | None) -> None:
        self._fixed += [ids for ids in channels if ids is not None]

    def tie(self, first: Array | None, second: Array | None) -> None:
        """One scale for each pair of channels; what has no counterpart stays as it is."""
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


def layer_axes(node: ir.Node) -> tuple[int, int] | None:
    """Where an operator with constants of its own reads and writes channels that scale apart; None for others.

    These are the operators that `scale_constants` changes: Conv, Gemm and MatMul with a matrix that is theirs alone,
    LayerNormalization, and a Mul with a constant.
    """
    axes = _LAYER_AXES.get(node.op_type)
    if axes is None or node.domain:
        return None
    constants = [value for value in node.inputs[1:] if value is not None]
    if node.op_type == "Mul":
        return _diagonal(node)
    shape = node.outputs[0].shape
    if shape is None or not constants or not all(is_constant(value) for value in constants):
        return None
    if len(constants[0].uses()) > 1 or constants[0].is_graph_output() or constants[0].dtype != ir.DataType.FLOAT:
        return None
    rank, weight = len(shape), constants[0].shape
    if node.op_type == "Gemm" and node.attributes.get_int("transA", 0):
        return None
    if node.op_type == "MatMul" and (weight is None or len(weight) != 2):
        return None
    if node.op_type == "LayerNormalization" and node.attributes.get_int("axis", -1) not in (-1, rank - 1):
        return None
    return tuple(axis % rank for axis in axes)  # type: ignore[return-value]  # two in, two out


_LAYER_AXES = {"Conv": (1, 1), "Gemm": (1, 1), "MatMul": (-1, -1), "LayerNormalization": (-1, -1), "Mul": (0, 0)}


def _diagonal(node: ir.Node) -> tuple[int, int] | None:
    """The one axis along which a Mul's constant varies."""
    constants = [value for value in node.inputs if is_constant(value)]
    others = [value for value in node.inputs if not is_constant(value)]
    shape = node.outputs[0].shape
    if len(constants) != 1 or constants[0] is None or constants[0].shape is None:
        return None
    if shape is None or others[0] is None or others[0].shape != shape:
        return None
    sizes = [1] * (len(shape) - len(constants[0].shape)) + list(constants[0].shape)
    varying = [axis for axis, size in enumerate(sizes) if size != 1]
    return (varying[0], varying[0]) if len(varying) == 1 and varying[0] in (1, len(shape) - 1) else None


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
        ties.fix(value, but=None if normalizes else axes[0])
    ties.fix(node.outputs[0], but=axes[1])
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
    """Add, and what commutes with a positive factor."""
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
    """Pooling, resizing and padding, which treat the channels of axis 1 alike."""
    source, output = node.inputs[0], node.outputs[0]
    extrapolates = node.attributes.get_string("coordinate_transformation_mode", "") == "tf_crop_and_resize"
    fills = node.op_type == "Pad" and len(node.inputs) > 2 and node.inputs[2] is not None
    if extrapolates or len(node.outputs) > 1 or (fills and not _is_zero(node.inputs[2])):
        _opaque(node, ties)
        return
    ties.fix(source, but=1)
    ties.fix(output, but=1)
    ties.tie(ties.of(source, 1), ties.of(output, 1))


def _is_zero(value: ir.Value | None) -> bool:
    return is_constant(value) and not array_of(value).any()


def _flatten(node: ir.Node, ties: _Ties) -> None:
    """[N, C, ...] to [N, C * ...]: a channel becomes a run of them."""
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
    ties.fix(source, but=1)
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
    """A value and its parts along the axis `cut`."""
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


def scale_constants(graph: ir.Graph, channels: Channels, scales: Array) -> int:
    """Divide the channels of every class by its scale, in the constants of the operators that write and read them.

    Args:
        scales: positive, float64 [classes]; 1 for classes that are not free.

    Returns:
        How many operators have other constants now.
    """
    edits, changed = Edits(graph), 0
    for node in list(graph):
        constants = _scaled(node, lambda value, axis: _scales_of(value, axis, channels, scales))
        for index, array in constants.items():
            name = str(node.inputs[index].name)  # type: ignore[union-attr]  # it held a constant
            node.replace_input_with(index, edits.constant(f"{name}.balanced", array.astype(np.float32)))
        changed += bool(constants)
    drop_unused_initializers(graph)
    return changed


def _scales_of(value: ir.Value | None, axis: int, channels: Channels, scales: Array) -> Array:
    """One per channel along an axis, or a single 1."""
    ids = None if value is None else channels.classes.get((value, axis))
    return np.ones(1) if ids is None else scales[ids]


def _scaled(node: ir.Node, scales: Callable[[ir.Value | None, int], Array]) -> dict[int, Array]:
    """A node's constants by input, where scales change them."""
    axes, output = layer_axes(node), node.outputs[0]
    if axes is None:
        return _scaled_sum(node, scales) if node.op_type in ("Add", "Sub") and not node.domain else {}
    source = next(value for value in node.inputs if not is_constant(value))
    into, out = scales(source, axes[0]), scales(output, axes[1])
    if (into == 1).all() and (out == 1).all():
        return {}
    if node.op_type == "Mul":
        index = next(index for index, value in enumerate(node.inputs) if is_constant(value))
        return {index: array_of(node.inputs[index]) * _along(axes[0], output, into / out)}
    arrays = {index: array_of(value) for index, value in enumerate(node.inputs) if is_constant(value)}
    vectors = {index: array / out for index, array in arrays.items() if index > 1}
    if node.op_type == "LayerNormalization":
        return {1: arrays[1] / out, **vectors}
    if node.op_type == "Conv":
        return {1: _scaled_kernel(arrays[1], into, out), **vectors}
    transposed = node.op_type == "Gemm" and node.attributes.get_int("transB", 0)
    rows, columns = (1 / out, into) if transposed else (into, 1 / out)
    return {1: arrays[1] * rows[:, None] * columns, **vectors}


def _scaled_kernel(kernel: Array, into: Array, out: Array) -> Array:
    """A Conv's [outputs, inputs per group, ...], whose inputs lie group after group."""
    groups = max(len(into) // kernel.shape[1], 1)
    per_output = np.repeat(into.reshape(groups, -1), kernel.shape[0] // groups, axis=0)
    matrix = per_output / out.reshape(-1, 1)
    return kernel * matrix.reshape(*matrix.shape, *[1] * (kernel.ndim - 2))


def _scaled_sum(node: ir.Node, scales: Callable[[ir.Value | None, int], Array]) -> dict[int, Array]:
    output = node.outputs[0]
    arrays = {index: array_of(value) for index, value in enumerate(node.inputs) if is_constant(value)}
    changed: dict[int, Array] = {}
    for axis in dict.fromkeys((1, len(output.shape) - 1)) if output.shape is not None else ():
        s = scales(output, axis)
        if (s != 1).any():
            changed = {index: array / _along(axis, output, s) for index, array in {**arrays, **changed}.items()}
    return changed


def _along(axis: int, value: ir.Value, s: Array) -> Array:
    """A vector laid along an axis, to be broadcast against a value."""
    assert value.shape is not None
    return s.reshape(-1, *[1] * (len(value.shape) - 1 - axis))
