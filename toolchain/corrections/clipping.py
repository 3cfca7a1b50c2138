"""Clipping of activations: narrower ranges where the outputs of the layers that read them come closer to float's.

Values beyond a range saturate, and those within it get smaller steps, so that a tensor with a few large values may
gain. Each tensor's range is tried at several parts of what was observed, and judged by the error at the outputs of the
products that read it, which tells values that matter from values that do not.

Source: a search of our own. Choosing a range by the error at a layer's output is common practice, as in M. Nagel et al.
(2021), A White Paper on Neural Network Quantization, arXiv:2106.08295, section 3.1. Outputs are projected on random
directions, which keeps sums of squares: W. Johnson and J. Lindenstrauss (1984).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import product

import numpy as np
import onnx_ir as ir

from hwbench.data.dataset import Dataset
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.corrections import Corrected
from toolchain.corrections._product_inputs import groups, input_name, matrices, over_rows
from toolchain.graphs.products import PRODUCTS
from toolchain.graphs.value_range import Range
from toolchain.quantizers import _affine
from toolchain.recipes.qdq_placement import Placement, Weight, place
from toolchain.recipes.recipe import Recipe

STAGE = "ranges"
IS_FITTED = True

_PARTS = tuple(np.linspace(1.0, 0.3, 15).tolist())
_MIN_GAIN = 0.02  # of the error; less is chance
_RUNS, _ROWS = 32, 4096
_DIRECTIONS = 32  # sums of squares are then right within a few percent


def correct(
    model: ir.Model, reference: ir.Model, recipe: Recipe, ranges: Mapping[str, Range], data: Dataset
) -> Corrected:
    """Narrow the ranges of tensors that products alone read as integers; see `Correction`."""
    scheme = recipe.scheme or QuantizationScheme()
    placement = place(model, recipe.keep, ranges)
    selected = [weight for weight in placement.weights if _is_free(weight, model.graph, placement)]
    if not selected:
        return Corrected(model, ranges, 0)
    options = {name: _options(ranges[name]) for name in map(input_name, selected)}
    errors = {name: np.zeros(len(tried)) for name, tried in options.items()}
    directions = [_directions(weight) for weight in selected]
    for index, rows in over_rows(
        reference, selected, data, runs=_RUNS, rows=lambda weight: _ROWS // groups(weight) + 1
    ):
        name = input_name(selected[index])
        x = rows.transpose(1, 0, 2)
        scale = float(((x @ directions[index]) ** 2).sum()) or 1.0  # so that several readers count alike
        for at, tried in enumerate(options[name]):
            noise = (_affine.rounded(x, _affine.for_activation(tried, scheme)) - x) @ directions[index]
            errors[name][at] += float((noise**2).sum()) / scale
    narrowed = {
        name: options[name][int(found.argmin())]
        for name, found in errors.items()
        if found.min() < (1 - _MIN_GAIN) * found[0]
    }
    return Corrected(model, {**ranges, **narrowed}, len(narrowed))


def undo(model: ir.Model, reference: ir.Model, nodes: Collection[str]) -> ir.Model:
    """Return the graph unchanged: ranges are no part of it."""
    return model


def _is_free(weight: Weight, graph: ir.Graph, placement: Placement) -> bool:
    """Tell whether the range of a product's input can be judged by products alone."""
    source = weight.node.inputs[0]
    if weight.node.graph is not graph or source is None or source in placement.same_scale:
        return False
    readers = [use.node for use in source.uses() if use.node in placement.nodes]
    return source not in placement.same_scale.values() and all(node.op_type in PRODUCTS for node in readers)


def _options(seen: Range) -> list[Range]:
    """List the whole range first, then each side narrowed by itself and both; a side at zero stays."""
    lows = _PARTS if seen.low < 0 else (1.0,)
    highs = _PARTS if seen.high > 0 else (1.0,)
    pairs = product(lows, highs) if len(lows) == 1 or len(highs) == 1 else [*zip(lows, highs)]
    return [Range(seen.low * low, seen.high * high) for low, high in pairs]


def _directions(weight: Weight) -> Array:
    """Project a weight's outputs on random directions: float32 [groups, k, directions]."""
    w = matrices(weight).astype(np.float32)
    if w.shape[1] <= _DIRECTIONS:
        return np.ascontiguousarray(w.transpose(0, 2, 1))
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (_DIRECTIONS, w.shape[1])).astype(np.float32)
    return np.ascontiguousarray((signs @ w).transpose(0, 2, 1))
