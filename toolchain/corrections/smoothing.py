"""Activation smoothing for transformers: a few channels that are always large move into the weights that read them.

Method: G. Xiao et al. (2022), SmoothQuant, arXiv:2211.10438. The division goes into what scales the channels already:
a normalisation's scale and bias, or a product with a constant. Where there is none, since a sum with the residual reads
the normalisation too (BERT's order), a product of its own is added if it is estimated to halve the noise. A Gemm, such
as a classifier's last layer, gets none: on a network without a transformer's outliers that lost accuracy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from runtimes.samples import Rows
from runtimes.tensors import TensorSpec
from toolchain.corrections._balance import balance
from toolchain.graphs.channel_groups import channel_classes
from toolchain.graphs.edits import Edits, array_of
from toolchain.graphs.value_range import Range
from toolchain.recipes.qdq_placement import place
from toolchain.recipes.recipe import Recipe

STAGE = "before"

_WORTH_A_PRODUCT = 0.5


def correct(
    model: ir.Model,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    specs: Sequence[TensorSpec],
    arrays: Mapping[str, Rows],
) -> tuple[ir.Model, int]:
    """Even out channels that normalisations write; see `bias.correct` for the arguments."""
    scaling = frozenset({"LayerNormalization", "Mul"})
    model, folded = balance(model, recipe, specs, arrays, lambda node: node.op_type in scaling)
    added = _add_products(model, recipe)
    model, changed = balance(model, recipe, specs, arrays, lambda node: node in added, _WORTH_A_PRODUCT)
    for node in added:
        if (array_of(node.inputs[1]) == 1).all():
            _remove(model.graph, node)
    return model, folded + changed


def undo(model: ir.Model, reference: ir.Model, nodes: Collection[str]) -> ir.Model:
    """Return the graph as it is: scaled channels compute the same in float."""
    return model


def _add_products(model: ir.Model, recipe: Recipe) -> list[ir.Node]:
    """Products with ones, before the MatMuls whose input cannot be scaled where it is written."""
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


def _remove(graph: ir.Graph, product: ir.Node) -> None:
    source = product.inputs[0]
    assert source is not None
    product.outputs[0].replace_all_uses_with(source)
    graph.remove(product, safe=True)
