"""Where a quantized model loses accuracy: the error of every layer against the float model, in one pass.

Only sums of squares leave the graph, so memory stays that of one inference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runtimes.errors import UsageError
from runtimes.samples import Rows
from runtimes.tensors import TensorSpec
from toolchain import inference
from toolchain.quantize import Calibrated
from toolchain.recipe import Recipe
from toolchain.shadow import Copy, Layer, Shadow, shadow

_COPIES: tuple[Copy, ...] = ("own", "total")


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
    compared = shadow(calibrated.reference, calibrated.model, recipe, calibrated.ranges, _COPIES)
    if not compared.layers:
        raise UsageError("All that int8 computes is inside If, Loop or Scan, whose layers cannot be compared yet.")
    for layer in compared.layers:
        _add_sums(compared, layer)
    sums = np.zeros((len(compared.layers), 3))
    for _, outputs in inference.over_samples(inference.session(compared.model), specs, arrays):
        sums += np.asarray(outputs, np.float64).reshape(-1, 3)
    errors = [
        LayerError(str(layer.node.name), layer.node.op_type, _decibels(signal, own), _decibels(signal, total))
        for layer, (signal, own, total) in zip(compared.layers, sums)
    ]
    return sorted(errors, key=lambda error: error.own)


def _add_sums(compared: Shadow, layer: Layer) -> None:
    compared.edits.give(compared.edits.append("ReduceSumSquare", layer.reference, keepdims=0))
    for copy in _COPIES:
        difference = compared.edits.append("Sub", layer.reference, layer.copies[copy])
        compared.edits.give(compared.edits.append("ReduceSumSquare", difference, keepdims=0))


def _decibels(signal: float, noise: float) -> float:
    if noise <= 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf
