"""Bias correction: subtract from a layer's bias the mean shift that quantization causes at its output.

Rounded weights shift the mean of a layer's output channels; the bias can compensate for the shift.

Method: M. Nagel et al. (2019), Data-Free Quantization Through Weight Equalization and Bias Correction, section 4.2,
arXiv:1906.04721, in its empirical form. Ours differs in the order: the paper corrects layer after layer,
each fed by the quantized layers before it; here one pass over the calibration samples measures all layers, each fed by
the float model's activations.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from hwbench.data.dataset import Dataset
from runtimes.tensors import Array
from toolchain.analysis.comparison_graph import ComparisonGraph, Layer, build_comparison_graph
from toolchain.graphs.edits import Edits, array_of, is_constant
from toolchain.graphs.value_range import Range
from toolchain.models import ort_session
from toolchain.recipes.recipe import Recipe

STAGE = "after"

_OPS = ("Conv", "Gemm")
_RUNS = 32  # each gives a mean over all positions of a channel; more hardly change it, and each takes five float runs


def correct(
    model: ir.Model,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    data: Dataset,
) -> tuple[ir.Model, int]:
    """Correct the bias of every Conv and Gemm that has one.

    A layer without a bias gets none: added biases made a MobileNetV2 7% slower on OpenVINO.

    Args:
        model: the prepared float model; changed and returned.
        recipe: the int8 recipe.
        ranges: the calibrated ranges.
        data: the calibration samples.

    Returns:
        The model, and the number of layers whose bias changed.
    """
    comparison = build_comparison_graph(model, model, recipe, ranges, ["own"])
    layers = [layer for layer in comparison.layers if _is_biased(layer.node)]
    if not layers:
        return model, 0
    for layer in layers:
        _add_mean_shift(comparison, layer)
    totals, n = [np.zeros(1)] * len(layers), 0
    for _, shifts in islice(ort_session.over_samples(ort_session.exact_session(comparison.model), data), _RUNS):
        totals = [total + shift for total, shift in zip(totals, shifts)]  # an empty tensor has the mean 0 here
        n += 1
    edits = Edits(model.graph)
    for layer, total in zip(layers, totals):
        _shift_bias(edits, layer.node, total / n)
    return model, len(layers)


def undo(model: ir.Model, reference: ir.Model, nodes: Collection[str]) -> ir.Model:
    """Restore the bias of nodes that stay in float, where nothing is rounded.

    Args:
        model: the graph that `correct` returned; changed and returned.
        reference: the graph that `correct` was given.
        nodes: names of the nodes that stay in float.
    """
    edits = Edits(model.graph)
    before = {node.name: node for node in reference.graph}
    for node in model.graph:
        if node.name in nodes and node.op_type in _OPS:
            bias = _bias(before[node.name])
            if is_constant(bias):  # `correct` changes no other bias
                node.replace_input_with(2, edits.constant(f"{node.name}.bias", array_of(bias)))
    return RemoveUnusedNodesPass()(model).model


def _is_biased(layer: ir.Node) -> bool:
    """Tell whether a layer has a constant bias with one number per channel."""
    if layer.op_type not in _OPS or layer.outputs[0].shape is None:
        return False
    bias = _bias(layer)
    return bias is not None and bias.shape is not None and len(bias.shape) == 1 and is_constant(bias)


def _bias(layer: ir.Node) -> ir.Value | None:
    return layer.inputs[2] if len(layer.inputs) > 2 else None


def _add_mean_shift(comparison: ComparisonGraph, layer: Layer) -> None:
    shape = layer.node.outputs[0].shape
    assert shape is not None
    shift = comparison.edits.append("Sub", layer.copies["own"], layer.reference)
    comparison.edits.add_output(
        comparison.edits.reduce("ReduceMean", shift, [axis for axis in range(len(shape)) if axis != 1])
    )


def _shift_bias(edits: Edits, layer: ir.Node, shift: Array) -> None:
    corrected = (array_of(_bias(layer)) - shift).astype(np.float32)
    layer.replace_input_with(2, edits.constant(f"{layer.name}.corrected_bias", corrected))
