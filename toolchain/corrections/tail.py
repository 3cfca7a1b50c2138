"""Float tail: keep the last Convs in float32 if they are a small part of the work.

Later layers average out the rounding errors of earlier ones, but nothing follows the last layers. In networks that
write pictures or maps, the last layers are Convs with few channels and a small share of the work. Gemm and MatMul write
float32 in any case, so the tail ends at the first of them.

Source: a rule of our own, after the common practice to leave the last layer in float, for example H. Wu et al. (2020),
Integer Quantization for Deep Learning Inference, arXiv:2004.09602 (partial quantization). On an ESRGAN
generator the tail raised PSNR by 0.11 dB (95% interval 0.04 to 0.21; benchmarks/results/corrections.txt).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import onnx_ir as ir

from hwbench.data.dataset import Dataset
from toolchain.graphs.edits import Edits, array_of
from toolchain.graphs.products import PRODUCTS, channel_axis
from toolchain.graphs.value_range import Range
from toolchain.models import ort_session
from toolchain.recipes.qdq_placement import KEEP_KEY, place
from toolchain.recipes.recipe import Recipe

STAGE = "after"
IS_FITTED = False

_MAX_SHARE = 0.05
"""Maximum share of the multiplications, and of the weights, that the tail may have. Float32 takes about three times as
long and four times the space, so the variant stays within 10% of int8's latency and 15% of its size."""


def correct(
    model: ir.Model,
    reference: ir.Model,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    data: Dataset,
) -> tuple[ir.Model, int]:
    """Mark the tail's Convs, so that they get no Q/DQ pairs; see `Correction` for the arguments."""
    nodes = place(model, recipe.keep).nodes
    placed = [node for node in model.graph if node in nodes and node.op_type in PRODUCTS]
    if not any(node.op_type == "Conv" for node in placed):
        return model, 0
    weights = {node: array_of(node.inputs[1]).size for node in placed}
    work = {node: n * weights[node] for node, n in _positions(model, placed, data).items()}
    tail: set[ir.Node] = set()
    ends: Collection[ir.Value] = model.graph.outputs
    while step := _last(ends, placed) - tail:
        wider = tail | step
        cheap = all(sum(cost[n] for n in wider) <= _MAX_SHARE * sum(cost.values()) for cost in (work, weights))
        if not cheap or any(node.op_type != "Conv" for node in step):
            break
        tail = wider
        ends = [node.inputs[0] for node in step if node.inputs[0] is not None]
    for node in tail:
        node.metadata_props[KEEP_KEY] = "tail"
    return model, len(tail)


def undo(model: ir.Model, reference: ir.Model, nodes: Collection[str]) -> ir.Model:
    """Return the graph unchanged: the marks change no constants."""
    return model


def _last(ends: Collection[ir.Value], placed: Collection[ir.Node]) -> set[ir.Node]:
    """Find the products that come first on the way back from some values."""
    met: set[ir.Node] = set()
    products, left = set(placed), [value.producer() for value in ends]
    visited: set[ir.Node] = set()
    while left:
        node = left.pop()
        if node is None or node in visited:
            continue
        visited.add(node)
        if node in products:
            met.add(node)
        else:
            left += [value.producer() for value in node.inputs if value is not None]
    return met


def _positions(model: ir.Model, nodes: Sequence[ir.Node], data: Dataset) -> dict[ir.Node, int]:
    """Count how often one inference uses each product's weights: its output's size over its output channels."""
    observer = model.clone()
    edits = Edits(observer.graph)
    values = {value.name: value for node in observer.graph for value in node.outputs}
    observer.graph.outputs.clear()
    for node in nodes:
        size = edits.node("Size", [values[node.outputs[0].name]], f"{node.outputs[0].name}.size")
        size.outputs[0].type, size.outputs[0].shape = ir.TensorType(ir.DataType.INT64), ir.Shape([])
        observer.graph.append(size)
        observer.graph.outputs.append(size.outputs[0])
    _, sizes = next(ort_session.over_samples(ort_session.session(observer), data))
    channels = [array_of(node.inputs[1]).shape[channel_axis(node) or 0] for node in nodes]
    return {node: int(size) // n for node, size, n in zip(nodes, sizes, channels)}
