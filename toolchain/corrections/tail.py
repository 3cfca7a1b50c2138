"""A float tail: the last Convs stay in float32 where they are a small part of the work.

What a layer rounds off early is averaged over many weights on its way; what the last ones round off, the user sees. In
networks that write pictures or maps, these are Convs with few channels, whose share of the work is small. Gemm and
MatMul write float32 anyway, so the tail ends there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import onnx_ir as ir

from runtimes.samples import Rows
from runtimes.tensors import TensorSpec
from toolchain.graphs.edits import Edits, array_of
from toolchain.graphs.products import PRODUCTS, channel_axis
from toolchain.graphs.value_range import Range
from toolchain.models import ort_session
from toolchain.recipes.qdq_placement import KEPT, place
from toolchain.recipes.recipe import Recipe

STAGE = "after"

_MOST_SHARE = 0.05
"""Of the multiplications, and of the weights, that may be the tail's: float32 takes about three times as long and four
times the room, so int8 stays within a tenth of its latency and a seventh of its size."""


def correct(
    model: ir.Model,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    specs: Sequence[TensorSpec],
    arrays: Mapping[str, Rows],
) -> tuple[ir.Model, int]:
    """Mark the tail's Convs, which no int8 pair then goes to; see `bias.correct` for the arguments."""
    nodes = place(model, recipe.keep).nodes
    placed = [node for node in model.graph if node in nodes and node.op_type in PRODUCTS]
    if not any(node.op_type == "Conv" for node in placed):
        return model, 0
    weights = {node: array_of(node.inputs[1]).size for node in placed}
    work = {node: n * weights[node] for node, n in _positions(model, placed, specs, arrays).items()}
    tail: set[ir.Node] = set()
    ends: Collection[ir.Value] = model.graph.outputs
    while step := _last(ends, placed) - tail:
        wider = tail | step
        cheap = all(sum(cost[n] for n in wider) <= _MOST_SHARE * sum(cost.values()) for cost in (work, weights))
        if not cheap or any(node.op_type != "Conv" for node in step):
            break
        tail = wider
        ends = [node.inputs[0] for node in step if node.inputs[0] is not None]
    for node in tail:
        node.metadata_props[KEPT] = "tail"
    return model, len(tail)


def undo(model: ir.Model, reference: ir.Model, nodes: Collection[str]) -> ir.Model:
    """Return the graph as it is: nodes that stay in float were left alone."""
    return model


def _last(ends: Collection[ir.Value], placed: Collection[ir.Node]) -> set[ir.Node]:
    """The products that are met first on the way back from some values."""
    met: set[ir.Node] = set()
    seen, left = set(placed), [value.producer() for value in ends]
    visited: set[ir.Node] = set()
    while left:
        node = left.pop()
        if node is None or node in visited:
            continue
        visited.add(node)
        if node in seen:
            met.add(node)
        else:
            left += [value.producer() for value in node.inputs if value is not None]
    return met


def _positions(
    model: ir.Model, nodes: Sequence[ir.Node], specs: Sequence[TensorSpec], arrays: Mapping[str, Rows]
) -> dict[ir.Node, int]:
    """How often each product's weights are used in one inference: its output's size over its output channels."""
    watched = model.clone()
    edits = Edits(watched.graph)
    values = {value.name: value for node in watched.graph for value in node.outputs}
    watched.graph.outputs.clear()
    for node in nodes:
        size = edits.node("Size", [values[node.outputs[0].name]], f"{node.outputs[0].name}.size")
        size.outputs[0].type, size.outputs[0].shape = ir.TensorType(ir.DataType.INT64), ir.Shape([])
        watched.graph.append(size)
        watched.graph.outputs.append(size.outputs[0])
    _, sizes = next(ort_session.over_samples(ort_session.session(watched), specs, arrays))
    channels = [array_of(node.inputs[1]).shape[channel_axis(node) or 0] for node in nodes]
    return {node: int(size) // n for node, size, n in zip(nodes, sizes, channels)}
