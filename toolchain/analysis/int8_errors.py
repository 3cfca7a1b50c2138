"""Error of each int8 layer against the float model, measured in one pass over the samples.

The graph outputs only sums of squares, so memory stays that of one inference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import onnx_ir as ir

from hwbench.data.dataset import Dataset
from runtimes.errors import UsageError
from toolchain.analysis.comparison_graph import ComparisonGraph, Copy, Layer, build_comparison_graph
from toolchain.graphs.edits import Edits
from toolchain.models import ort_session
from toolchain.recipes.apply_recipe import CalibratedGraph
from toolchain.recipes.recipe import Recipe

_RANKING_RUNS = 64  # more samples hardly change the order of layers


@dataclass(frozen=True)
class LayerError:
    """One layer's signal-to-quantization-noise ratio, in dB: 10 log10(sum y^2 / sum (y - y_float)^2).

    Attributes:
        node: the layer's name.
        op: its operator.
        own: the ratio if only this layer's inputs and weights are quantized.
        total: the ratio in the complete quantized model.
    """

    node: str
    op: str
    own: float
    total: float


def layer_errors(calibrated: CalibratedGraph, recipe: Recipe, data: Dataset) -> list[LayerError]:
    """Compare int8 with float, the layer with the worst own error first.

    Args:
        calibrated: the float model and its corrected form; it stays unchanged.
        recipe: the int8 recipe.
        data: the calibration samples.

    Raises:
        UsageError: all int8 layers are in subgraphs, which cannot be compared.
    """
    layers, decibels = _compare(calibrated, recipe, data, ("own", "total"))
    errors = [LayerError(str(node.name), node.op_type, *found) for node, found in zip(layers, decibels)]
    return sorted(errors, key=lambda error: error.own)


def sensitivity(calibrated: CalibratedGraph, recipe: Recipe, data: Dataset) -> tuple[str, ...]:
    """Order the int8 layers by their own error over the first samples, the worst first.

    It has the arguments and errors of `layer_errors`.
    """
    layers, decibels = _compare(calibrated, recipe, data, ("own",), _RANKING_RUNS)
    return tuple(str(layers[index].name) for index in np.argsort([own for (own,) in decibels], kind="stable"))


def _compare(
    calibrated: CalibratedGraph,
    recipe: Recipe,
    data: Dataset,
    copies: Sequence[Copy],
    runs: int | None = None,
) -> tuple[list[ir.Node], list[list[float]]]:
    """Measure the error of each layer's output in each copy, in dB."""
    comparison = build_comparison_graph(calibrated.reference, calibrated.model, recipe, calibrated.ranges, copies)
    if not comparison.layers:
        raise UsageError("All int8 layers are inside If, Loop or Scan, where layers cannot be compared yet.")
    for layer in comparison.layers:
        _add_sums(comparison, layer, copies)
    sums = np.zeros((len(comparison.layers), 1 + len(copies)))
    session = ort_session.exact_session(comparison.model)
    for _, outputs in islice(ort_session.over_samples(session, data), runs):
        sums += np.asarray(outputs, np.float64).reshape(sums.shape)
    decibels = [[_decibels(signal, noise) for noise in noises] for signal, *noises in sums]
    return [layer.node for layer in comparison.layers], decibels


def _add_sums(comparison: ComparisonGraph, layer: Layer, copies: Sequence[Copy]) -> None:
    comparison.edits.add_output(comparison.edits.append("ReduceSumSquare", layer.reference, keepdims=0))
    for copy in copies:
        operands = [layer.reference, layer.copies[copy]]
        if not _has_known_sizes(layer.reference, comparison.model.graph):  # the copy may have found another number
            operands = _common_part(comparison.edits, *operands)
        difference = comparison.edits.append("Sub", *operands)
        comparison.edits.add_output(comparison.edits.append("ReduceSumSquare", difference, keepdims=0))


def _has_known_sizes(value: ir.Value, graph: ir.Graph) -> bool:
    """Tell whether the sizes of the inputs decide a value's sizes, which is not so after operators such as NonZero."""
    known = {dim.value for given in graph.inputs for dim in given.shape or () if isinstance(dim, ir.SymbolicDim)}
    return value.shape is not None and all(isinstance(dim, int) or dim.value in known for dim in value.shape)


def _common_part(edits: Edits, first: ir.Value, second: ir.Value) -> list[ir.Value]:
    """Cut two values of equal rank to the sizes that both have."""
    sizes = edits.append("Min", edits.append("Shape", first), edits.append("Shape", second))
    start = edits.append("Mul", sizes, edits.constant("zero", np.array([0], np.int64)))
    return [edits.append("Slice", value, start, sizes) for value in (first, second)]


def _decibels(signal: float, noise: float) -> float:
    if not math.isfinite(noise):  # int8 overflowed float32, or gave NaN
        return -math.inf
    if noise <= 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf
