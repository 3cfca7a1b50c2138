"""Rounding of weights for the outputs that they give, and not for their own numbers.

A product sums over many inputs, which go along with each other, so rounding one weight up can make up for rounding
another one down. `_nearest_plane` gives the method and its source; the inputs are those that int8 reads. On an
EfficientNet it took the signal-to-noise ratio of int8 from 20.3 to 24.5 dB; docs/concepts/corrections.md has more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from hwbench.data.dataset import Dataset
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.corrections._nearest_plane import round_rows
from toolchain.corrections._product_inputs import depth, groups, matrices
from toolchain.corrections._second_moments import SharedWeight, second_moments
from toolchain.graphs.edits import Edits, array_of
from toolchain.graphs.products import PRODUCTS
from toolchain.graphs.value_range import Range
from toolchain.graphs.weights import set_scales
from toolchain.quantizers import _kernel_pairs
from toolchain.quantizers.int8 import parameters_of
from toolchain.recipes.qdq_placement import Weight, place
from toolchain.recipes.recipe import Recipe

STAGE = "after"
IS_FITTED = True

_MAX_DEPTH = 4608  # products per output: more take half a minute of one core each


def correct(
    model: ir.Model,
    reference: ir.Model,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    data: Dataset,
) -> tuple[ir.Model, int]:
    """Round the weights of the products in the main graph; see `Correction`."""
    scheme = recipe.scheme or QuantizationScheme()
    nodes: dict[ir.Value, list[Weight]] = {}
    for weight in place(model, recipe.keep, ranges).weights:
        nodes.setdefault(weight.value, []).append(weight)
    selected = [shared for shared in nodes.values() if _is_supported(shared, model.graph)]
    edits = Edits(model.graph)
    for shared, moments in zip(selected, second_moments(reference, selected, ranges, scheme, data)):
        _round(edits, shared, moments, scheme)
    return RemoveUnusedNodesPass()(model).model, sum(map(len, selected))


def undo(model: ir.Model, reference: ir.Model, nodes: Collection[str]) -> ir.Model:
    """Restore the weights of nodes that stay in float."""
    edits = Edits(model.graph)
    before = {node.name: node for node in reference.graph}
    restored: dict[ir.Value, ir.Value] = {}
    for node in model.graph:
        if node.name not in nodes or node.op_type not in PRODUCTS:
            continue
        original = before[node.name].inputs[1]
        if original is None or original.const_value is None:
            continue
        if original not in restored:
            restored[original] = edits.constant(f"{original.name}.float", array_of(original))
        node.replace_input_with(1, restored[original])
    return RemoveUnusedNodesPass()(model).model


def _is_supported(shared: SharedWeight, graph: ir.Graph) -> bool:
    """Tell whether a weight may change: integer products of one layout alone read it."""
    first = shared[0]
    alike = all(weight.node.graph is graph and _layout(weight) == _layout(first) for weight in shared)
    return alike and len(first.value.uses()) == len(shared) and depth(first) <= _MAX_DEPTH


def _layout(weight: Weight) -> tuple[object, ...]:
    return weight.node.op_type == "Conv", weight.axis, groups(weight)


def _round(edits: Edits, shared: SharedWeight, moments: Array, scheme: QuantizationScheme) -> None:
    first = shared[0]
    array, scales = array_of(first.value), parameters_of(first, scheme).scale
    by_group = matrices(first)
    steps = np.broadcast_to(scales, array.shape[first.axis]).reshape(by_group.shape[:2]).astype(np.float64)
    pairings = _kernel_pairs.pairings(first.node, array.shape, first.axis) if scheme.reduce_range else ()
    rounded = round_rows(by_group, moments, steps, pairings) * steps[:, :, None]
    layout = np.moveaxis(array, first.axis, 0).shape
    restored = np.moveaxis(rounded.astype(np.float32).reshape(layout), 0, first.axis)
    value = edits.constant(f"{first.value.name}.rounded", np.ascontiguousarray(restored))
    set_scales(value, scales)
    for weight in shared:
        weight.node.replace_input_with(weight.index, value)
