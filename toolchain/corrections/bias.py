"""Bias correction: subtract from a layer's bias the mean shift that quantization causes at its output.

Rounded weights shift the mean of a layer's output channels; the bias can compensate for the shift.

Method: M. Nagel et al. (2019), Data-Free Quantization Through Weight Equalization and Bias Correction, section 4.2,
arXiv:1906.04721, in its empirical form. Ours differs in the order: the paper corrects layer after layer,
each fed by the quantized layers before it; here one pass over the calibration samples measures all layers, each fed by
the float model's activations.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
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
IS_FITTED = True

_RUNS = 32  # each gives a mean over all positions of a channel; more hardly change it, and each takes five float runs


def correct(
    model: ir.Model,
    reference: ir.Model,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    data: Dataset,
) -> tuple[ir.Model, int]:
    """Correct the bias of every Conv, Gemm and MatMul that has one; see `Correction`.

    A MatMul's bias is the vector that the only node after it adds. A layer without a bias gets none: added biases made
    a MobileNetV2 7% slower on OpenVINO.
    """
    comparison = build_comparison_graph(reference, model, recipe, ranges, ["own"])
    layers = [layer for layer in comparison.layers if _bias(layer.node) and layer.node.outputs[0].shape is not None]
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
        bias = _bias(node) if node.name in nodes else None
        if bias:
            original = array_of(before[bias.node.name].inputs[bias.index])
            bias.node.replace_input_with(bias.index, edits.constant(f"{node.name}.bias", original))
    return RemoveUnusedNodesPass()(model).model


@dataclass(frozen=True)
class _Bias:
    """The input of a node that is a layer's bias."""

    node: ir.Node
    index: int


def _bias(layer: ir.Node) -> _Bias | None:
    """Find the input that is a layer's bias: a constant with one number per channel."""
    if layer.op_type in ("Conv", "Gemm") and len(layer.inputs) > 2:
        return _Bias(layer, 2) if _is_vector(layer.inputs[2]) else None
    readers = list(layer.outputs[0].uses()) if layer.op_type == "MatMul" else []
    if len(readers) == 1 and readers[0].node.op_type == "Add" and not layer.outputs[0].is_graph_output():
        added = _Bias(readers[0].node, 1 - readers[0].idx)
        return added if _is_vector(added.node.inputs[added.index]) else None
    return None


def _is_vector(value: ir.Value | None) -> bool:
    return is_constant(value) and value is not None and value.shape is not None and len(value.shape) == 1


def _add_mean_shift(comparison: ComparisonGraph, layer: Layer) -> None:
    shape = layer.node.outputs[0].shape
    assert shape is not None
    channel = 1 if layer.node.op_type == "Conv" else len(shape) - 1
    shift = comparison.edits.append("Sub", layer.copies["own"], layer.reference)
    others = [axis for axis in range(len(shape)) if axis != channel]
    comparison.edits.add_output(comparison.edits.reduce("ReduceMean", shift, others))


def _shift_bias(edits: Edits, layer: ir.Node, shift: Array) -> None:
    bias = _bias(layer)
    assert bias is not None
    corrected = (array_of(bias.node.inputs[bias.index]) - shift).astype(np.float32)
    bias.node.replace_input_with(bias.index, edits.constant(f"{layer.name}.corrected_bias", corrected))
