"""Activation smoothing for transformers: move the scale of outlier channels from activations into weights.

Method: G. Xiao et al. (2022), SmoothQuant, arXiv:2211.10438. As in the paper, a normalization's scale and bias, or a
product with a constant, absorbs the division. Ours differs in two points: alpha is searched per group of channels
(`_scale_search`); and if nothing can absorb the division, since a residual sum reads the normalization too (as in
BERT), a Mul is added when the estimate halves the noise. A Gemm, such as a classifier's last layer, gets no Mul: on a
network without a transformer's outliers the added Mul lost accuracy.

It is off by default: of six real models it changes only one (MiniLM), whose score it did not raise; see
benchmarks/results/corrections.txt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx_ir as ir

from hwbench.data.dataset import Dataset
from toolchain.corrections._scale_search import scale_channels
from toolchain.graphs.channel_groups import channel_classes
from toolchain.graphs.edits import Edits, array_of
from toolchain.graphs.value_range import Range
from toolchain.recipes.qdq_placement import place
from toolchain.recipes.recipe import Recipe

STAGE = "before"
IS_FITTED = False

_MIN_GAIN_OF_ADDED_MUL = 0.5  # part of the estimated noise; a Mul costs time in every inference


def correct(
    model: ir.Model,
    reference: ir.Model,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    data: Dataset,
) -> tuple[ir.Model, int]:
    """Scale the channels that normalizations write; see `Correction` for the arguments."""
    scaling = frozenset({"LayerNormalization", "Mul"})
    model, folded = scale_channels(model, recipe, data, lambda node: node.op_type in scaling)
    added = _add_muls(model, recipe)
    model, changed = scale_channels(model, recipe, data, lambda node: node in added, _MIN_GAIN_OF_ADDED_MUL)
    for node in added:
        if (array_of(node.inputs[1]) == 1).all():
            _remove(model.graph, node)
    return model, folded + changed


def undo(model: ir.Model, reference: ir.Model, nodes: Collection[str]) -> ir.Model:
    """Return the graph unchanged: scaled channels compute the same in float."""
    return model


def _add_muls(model: ir.Model, recipe: Recipe) -> list[ir.Node]:
    """Insert a Mul by ones before the MatMuls whose input cannot be scaled in the operator that writes it."""
    placement, channels = place(model, recipe.keep), channel_classes(model.graph)
    edits, added = Edits(model.graph), []
    for value in placement.activations:
        readers = [use for use in value.uses() if use.node in placement.nodes and use.node.op_type == "MatMul"]
        last = len(value.shape) - 1 if value.shape is not None else 0
        classes = channels.classes.get((value, last))
        if not readers or value.producer() is None or classes is None or channels.free[classes].any():
            continue
        ones = edits.constant(f"{value.name}.smoothing", np.ones(len(classes), np.float32))
        node = edits.node("Mul", [value, ones], f"{value.name}.smoothed")
        node.outputs[0].type, node.outputs[0].shape = value.type, value.shape
        for use in readers:
            use.node.replace_input_with(use.idx, node.outputs[0])
        producer = value.producer()
        assert producer is not None
        model.graph.insert_after(producer, node)
        added.append(node)
    return added


def _remove(graph: ir.Graph, mul: ir.Node) -> None:
    source = mul.inputs[0]
    assert source is not None
    mul.outputs[0].replace_all_uses_with(source)
    graph.remove(mul, safe=True)
