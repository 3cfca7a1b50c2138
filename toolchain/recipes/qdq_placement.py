"""Placement of Q/DQ pairs, so that the runtime fuses them into integer kernels.

A runtime fuses DQ -> operator -> Q. So an integer operator needs a pair on each activation that it reads, and one on
its output; a pair anywhere else only costs time.
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
"""Operators that the saturation of a Q includes, so that runtimes drop them between a Conv and its Q."""

# These have one scale for input and output, since they pass the integers on, or their maximum.
_PASSING_OPS = frozenset(["MaxPool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity"])
# These have integer kernels with scales of their own: QLinearAdd, QLinearMul, QLinearConcat, ...
_POINTWISE_OPS = frozenset(["Add", "Mul", "Concat", "Sigmoid", "LeakyRelu", "AveragePool", "GlobalAveragePool"])

INTEGER_OPS = PRODUCTS | CLAMPS | _PASSING_OPS | _POINTWISE_OPS
"""Operators that can write integers."""

KEEP_KEY = "edgewright.kept"
"""Metadata key of nodes that a correction keeps in float; its value names the correction."""
MAX_RANGE_RATIO = 8
"""Maximum ratio of the ranges of a Concat's operands. At 8, the narrow operand keeps 255 / 8 levels: steps of 3% of its
range, errors up to 1.6%, about as much as a whole int8 network adds. With fewer levels, different scores become equal.
"""

WeightKey = tuple[ir.Value, int]


@dataclass(frozen=True)
class Weight:
    """A constant operand of a matrix operator; `axis` is the axis of its output channels."""

    node: ir.Node
    value: ir.Value
    index: int
    axis: int

    @property
    def key(self) -> WeightKey:
        """Key of one set of integers: a Gemm and a transposed Gemm need different scales of the same weight."""
        return self.value, self.axis


@dataclass(frozen=True)
class Bias:
    """A constant bias, whose integers have the product of input scale and weight scale as their scale."""

    node: ir.Node
    index: int
    weight: Weight


@dataclass
class Placement:
    """The activations, weights and biases to quantize.

    Attributes:
        with_range: names of the tensors that have a range; None before calibration.
        activations: values that get a Q/DQ pair, in topological order (a dict keeps the order).
        same_scale: activations that use another one's scale, with that one.
        weights: weights of the integer operators.
        biases: biases of the integer operators.
        nodes: operators that run on integers.
    """

    with_range: Collection[str] | None = None
    activations: dict[ir.Value, None] = field(default_factory=dict)
    same_scale: dict[ir.Value, ir.Value] = field(default_factory=dict)
    weights: list[Weight] = field(default_factory=list)
    biases: list[Bias] = field(default_factory=list)
    nodes: set[ir.Node] = field(default_factory=set)

    def has_range(self, value: ir.Value) -> bool:
        """Tell whether a value can be quantized: a branch that no sample took has no ranges."""
        return self.with_range is None or str(value.name) in self.with_range


def place(model: ir.Model, keep: Collection[str], ranges: Mapping[str, Range] | None = None) -> Placement:
    """Decide what to quantize in a graph and its subgraphs.

    Nodes that `keep` names, or that a correction marked, stay in float. With ranges, two more rules apply: nodes that
    use a tensor without a range stay in float; and a Concat stays in float if its operands' ranges differ too much, as
    those of boxes in pixels and scores in 0..1 do, so that each operand has its own scale. A Concat whose result an
    integer product reads is an exception, since that result needs one scale in any case.

    Args:
        model: the prepared float model.
        keep: names of nodes that stay in float.
        ranges: the calibrated ranges; None before calibration.
    """
    placement = _place(model, keep, ranges)
    if ranges is None:
        return placement
    for node in [node for node in placement.nodes if node.op_type == "Concat" and _is_mixed(node, ranges)]:
        without = _place(model, {*keep, str(node.name)}, ranges)
        if (_clamp_after(node, keep) or node).outputs[0] not in without.activations:
            keep = {*keep, str(node.name)}
    return _place(model, keep, ranges)


def _place(model: ir.Model, keep: Collection[str], with_range: Collection[str] | None) -> Placement:
    placement = Placement(with_range)
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
    smallest = min((span for span in spans if span > 0), default=0.0)  # any scale represents a constant zero exactly
    return max(spans) > MAX_RANGE_RATIO * smallest


def _is_kept(node: ir.Node, keep: Collection[str]) -> bool:
    return node.name in keep or KEEP_KEY in node.metadata_props


def _place_matrix(placement: Placement, node: ir.Node, keep: Collection[str]) -> None:
    source, operand = node.inputs[0], node.inputs[1]
    # Products of two activations (attention) stay in float: they are small, and Softmax's outputs lose much accuracy.
    if source is None or operand is None or is_constant(source) or not is_constant(operand):
        return
    axis = channel_axis(node)
    if source.dtype != ir.DataType.FLOAT or operand.dtype != ir.DataType.FLOAT or axis is None:
        return
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    # An attention mask that was folded into a Gemm holds infinity, which integers cannot represent.
    if is_constant(bias) and not np.isfinite(array_of(bias)).all():
        return
    # MatMul and Gemm have integer kernels with float outputs; Conv has none, and so has no product before a clamp: ONNX
    # Runtime fuses product, clamp and Q together or not at all, and else dequantizes the weights in every inference.
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
    """Find the clamp that a node's integer kernel includes."""
    output = node.outputs[0]
    uses = list(output.uses())
    if len(uses) == 1 and uses[0].idx == 0 and not output.is_graph_output():
        follower = uses[0].node
        # A clamp in a branch of an If runs only if the branch is taken, so the kernel cannot include it.
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
    clamp = _clamp_after(node, keep)  # a residual sum's clamp in float would keep the sum in float too
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
    """Tell whether a kept product reads a value, which then must not become integers."""
    return any(use.node.op_type in PRODUCTS and use.node.name in keep for use in value.uses())


def _is_read_as_integers(placement: Placement, value: ir.Value) -> bool:
    readers = [use.node for use in value.uses()]
    return any(reader in placement.nodes or reader.op_type in _POINTWISE_OPS | _PASSING_OPS for reader in readers)
