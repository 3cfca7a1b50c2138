"""Where Q/DQ pairs go, so that the runtime fuses them into integer kernels.

A runtime fuses DQ -> operator -> Q. So an integer operator wants a pair on every activation it reads, and one
on what it writes; a pair anywhere else is pure cost.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from toolchain.graphs.edits import array_of, is_constant
from toolchain.graphs.products import PRODUCTS, channel_axis
from toolchain.graphs.value_range import Range

CLAMPS = frozenset({"Relu", "Clip"})
"""What a quantizer's saturation does anyway, so the runtime drops it between a Conv and its Q."""

# Same scale in and out: the integers pass through untouched, or as a maximum.
_PASSING_OPS = frozenset(["MaxPool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity"])
# Integer kernels with scales of their own: QLinearAdd, QLinearMul, QLinearConcat, ...
_POINTWISE_OPS = frozenset(["Add", "Mul", "Concat", "Sigmoid", "LeakyRelu", "AveragePool", "GlobalAveragePool"])

KEPT = "edgewright.kept"
"""Of a node's metadata: a correction wants it in float, and which."""
MOST_SPREAD = 8
"""How many times wider than another a Concat's operand may be. The narrow one keeps 255 / 8 of its levels: steps of 3%
of its range, errors up to 1.6%, which is what a whole int8 network tends to add. Wider apart, scores tie.
"""

WeightKey = tuple[ir.Value, int]


@dataclass(frozen=True)
class Weight:
    """A constant operand of a matrix operator. `axis` is its output channels."""

    node: ir.Node
    value: ir.Value
    index: int
    axis: int

    @property
    def key(self) -> WeightKey:
        """What one set of integers serves: a Gemm and a transposed Gemm want other scales of the same weight."""
        return self.value, self.axis


@dataclass(frozen=True)
class Bias:
    """A constant bias, whose integer form has the scale of input times weight."""

    node: ir.Node
    index: int
    weight: Weight


@dataclass
class Placement:
    """What to quantize.

    Attributes:
        reached: names of the tensors that have a range; None before there are any.
        activations: values that get a Q/DQ pair, in topological order; a dict for its order.
        same_scale: those that take another's scale, and whose.
        nodes: operators that are to run on integers.
    """

    reached: Collection[str] | None = None
    activations: dict[ir.Value, None] = field(default_factory=dict)
    same_scale: dict[ir.Value, ir.Value] = field(default_factory=dict)
    weights: list[Weight] = field(default_factory=list)
    biases: list[Bias] = field(default_factory=list)
    nodes: set[ir.Node] = field(default_factory=set)

    def has_range(self, value: ir.Value) -> bool:
        """Whether a value can be quantized: a branch that no sample took has no ranges, and stays in float."""
        return self.reached is None or str(value.name) in self.reached


def place(model: ir.Model, keep: Collection[str], ranges: Mapping[str, Range] | None = None) -> Placement:
    """Decide for a graph and its subgraphs; nodes that `keep` names or a correction marked stay as they are.

    Once ranges are known, what has none stays in float; and boxes in pixels and scores in 0..1 do not share a Concat's
    scale: one whose operands' ranges differ too much leaves them their own and runs in float. One whose result an
    integer product reads stays: that wants one scale whatever is done here.

    Args:
        model: the prepared float model.
        keep: names of nodes that stay as they are.
        ranges: of the tensors that calibration reached; None before there are any.
    """
    placement = _place(model, keep, ranges)
    if ranges is None:
        return placement
    for node in [node for node in placement.nodes if node.op_type == "Concat" and _is_mixed(node, ranges)]:
        without = _place(model, {*keep, str(node.name)}, ranges)
        if (_clamp_after(node, keep) or node).outputs[0] not in without.activations:
            keep = {*keep, str(node.name)}
    return _place(model, keep, ranges)


def _place(model: ir.Model, keep: Collection[str], reached: Collection[str] | None) -> Placement:
    placement = Placement(reached)
    candidates = [node for node in model.graph.all_nodes() if not node.domain and not _is_kept(node, keep)]
    for node in candidates:
        if node.op_type in PRODUCTS:
            _place_matrix(placement, node, keep)
    for node in candidates:
        if node.op_type in _PASSING_OPS | _POINTWISE_OPS:
            _place_between(placement, node, keep)
    return placement


def _is_mixed(concat: ir.Node, ranges: Mapping[str, Range]) -> bool:
    spans = [max(seen.high, 0.0) - min(seen.low, 0.0) for seen in (ranges[str(v.name)] for v in concat.inputs if v)]
    smallest = min((span for span in spans if span > 0), default=0.0)  # a constant zero survives any scale
    return max(spans) > MOST_SPREAD * smallest


def _is_kept(node: ir.Node, keep: Collection[str]) -> bool:
    return node.name in keep or KEPT in node.metadata_props


def _place_matrix(placement: Placement, node: ir.Node, keep: Collection[str]) -> None:
    source, operand = node.inputs[0], node.inputs[1]
    # Products of two activations (attention) stay in float: they are small, and Softmax's outputs quantize badly.
    if source is None or operand is None or is_constant(source) or not is_constant(operand):
        return
    axis = channel_axis(node)
    if source.dtype != ir.DataType.FLOAT or operand.dtype != ir.DataType.FLOAT or axis is None:
        return
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    # An attention mask that was folded into a Gemm: integers have no infinity.
    if is_constant(bias) and not np.isfinite(array_of(bias)).all():
        return
    # MatMul and Gemm have integer kernels with float outputs, and Conv has none. Nor has anything before a clamp: ONNX
    # Runtime fuses product, clamp and Q or nothing, and would dequantize the weights in every inference.
    clamp = _clamp_after(node, keep)
    written = [(clamp or node).outputs[0]] if clamp is not None or node.op_type == "Conv" else []
    if not all(placement.has_range(value) for value in (source, *written)):
        return
    if any(_feeds_kept_product(value, keep) for value in written):
        return
    weight = Weight(node, operand, 1, axis)
    placement.nodes.update(filter(None, (node, clamp)))
    placement.activations[source] = None
    placement.weights.append(weight)
    if bias is not None and is_constant(bias) and bias.shape is not None and len(bias.shape) == 1:
        placement.biases.append(Bias(node, 2, weight))
    placement.activations.update(dict.fromkeys(written))


def _clamp_after(node: ir.Node, keep: Collection[str]) -> ir.Node | None:
    """The clamp that a node's integer kernel takes with it."""
    output = node.outputs[0]
    uses = list(output.uses())
    if len(uses) == 1 and uses[0].idx == 0 and not output.is_graph_output():
        follower = uses[0].node
        # A branch of an If decides whether it computes its clamp, so one elsewhere is not the node's.
        if follower.op_type in CLAMPS and not _is_kept(follower, keep) and follower.graph is node.graph:
            return follower
    return None


def _place_between(placement: Placement, node: ir.Node, keep: Collection[str]) -> None:
    activations = placement.activations
    operands = [value for value in node.inputs if value is not None and value.dtype == ir.DataType.FLOAT]
    output = node.outputs[0]
    if node.op_type in _PASSING_OPS:
        if operands and operands[0] in activations and (output in activations or node.op_type == "MaxPool"):
            activations[output] = None
            placement.same_scale[output] = operands[0]
            placement.nodes.add(node)
        return
    clamp = _clamp_after(node, keep)  # of a residual sum: left in float, it would keep the sum in float, too
    written = (clamp or node).outputs[0]
    if (
        operands
        and all(value in activations for value in operands)
        and placement.has_range(written)
        and (written in activations or _is_read_as_integers(placement, written))
        and not _feeds_kept_product(written, keep)
    ):
        activations[written] = None
        placement.nodes.update(filter(None, (node, clamp)))


def _feeds_kept_product(value: ir.Value, keep: Collection[str]) -> bool:
    """A product that is kept because it cannot do with integers is not given them."""
    return any(use.node.op_type in PRODUCTS and use.node.name in keep for use in value.uses())


def _is_read_as_integers(placement: Placement, value: ir.Value) -> bool:
    readers = [use.node for use in value.uses()]
    return any(reader in placement.nodes or reader.op_type in _POINTWISE_OPS | _PASSING_OPS for reader in readers)
