"""Where a quantized model loses accuracy: the error of every layer against the float model, in one pass.

Only sums of squares leave the graph, so memory stays that of one inference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import onnx_ir as ir

from runtimes.errors import UsageError
from runtimes.samples import Rows
from runtimes.tensors import TensorSpec
from toolchain.analysis.comparison_graph import Copy, Layer, Shadow, shadow
from toolchain.models import ort_session
from toolchain.recipes.apply_recipe import Calibrated
from toolchain.recipes.recipe import Recipe

_RANKING_RUNS = 64  # the order of layers hardly moves with more


@dataclass(frozen=True)
class LayerError:
    """One layer's signal-to-quantization-noise ratio, in dB: 10 log10(sum y^2 / sum (y - y_float)^2).

    Attributes:
        own: what quantizing this layer's inputs and weights alone does to its output.
        total: the error of its output in the quantized model.
    """

    node: str
    op: str
    own: float
    total: float


def layer_errors(
    calibrated: Calibrated, recipe: Recipe, specs: Sequence[TensorSpec], arrays: Mapping[str, Rows]
) -> list[LayerError]:
    """Compare int8 with float, worst layer (by its own error) first.

    Args:
        calibrated: the float model and what corrections made of it, whose gain then shows; left as it is.
        recipe: the int8 recipe.
        specs: the model's inputs.
        arrays: samples, one array per input, samples first.

    Raises:
        UsageError: every layer that int8 computes is in a subgraph, where this cannot look.
    """
    layers, decibels = _compare(calibrated, recipe, specs, arrays, ("own", "total"))
    errors = [LayerError(str(node.name), node.op_type, *found) for node, found in zip(layers, decibels)]
    return sorted(errors, key=lambda error: error.own)


def sensitivity(
    calibrated: Calibrated, recipe: Recipe, specs: Sequence[TensorSpec], arrays: Mapping[str, Rows]
) -> tuple[str, ...]:
    """The layers that int8 computes, the one whose own error is the worst first, by some of the samples.

    Takes and raises what `layer_errors` does.
    """
    layers, decibels = _compare(calibrated, recipe, specs, arrays, ("own",), _RANKING_RUNS)
    return tuple(str(layers[index].name) for index in np.argsort([own for (own,) in decibels], kind="stable"))


def _compare(
    calibrated: Calibrated,
    recipe: Recipe,
    specs: Sequence[TensorSpec],
    arrays: Mapping[str, Rows],
    copies: Sequence[Copy],
    runs: int | None = None,
) -> tuple[list[ir.Node], list[list[float]]]:
    """The layers, and the error of each one's output in each copy, in dB."""
    compared = shadow(calibrated.reference, calibrated.model, recipe, calibrated.ranges, copies)
    if not compared.layers:
        raise UsageError("All that int8 computes is inside If, Loop or Scan, whose layers cannot be compared yet.")
    for layer in compared.layers:
        _add_sums(compared, layer, copies)
    sums = np.zeros((len(compared.layers), 1 + len(copies)))
    session = ort_session.exact_session(compared.model)
    for _, outputs in islice(ort_session.over_samples(session, specs, arrays), runs):
        sums += np.asarray(outputs, np.float64).reshape(sums.shape)
    decibels = [[_decibels(signal, noise) for noise in noises] for signal, *noises in sums]
    return [layer.node for layer in compared.layers], decibels


def _add_sums(compared: Shadow, layer: Layer, copies: Sequence[Copy]) -> None:
    compared.edits.give(compared.edits.append("ReduceSumSquare", layer.reference, keepdims=0))
    for copy in copies:
        difference = compared.edits.append("Sub", layer.reference, layer.copies[copy])
        compared.edits.give(compared.edits.append("ReduceSumSquare", difference, keepdims=0))


def _decibels(signal: float, noise: float) -> float:
    if not math.isfinite(noise):  # int8 drove it beyond float32, or to NaN
        return -math.inf
    if noise <= 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf
