"""Bias correction: rounding weights shifts a layer's mean output, and its bias can take the shift back.

Method: M. Nagel et al. (2019), Data-Free Quantization Through Weight Equalization and Bias Correction, section 4.2,
arXiv:1906.04721, in its empirical form: the shift of each output channel is measured on calibration samples, for all
layers in one pass, each fed by the float model's activations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
from onnx import numpy_helper

from runtimes import samples
from runtimes.tensors import Array, TensorSpec
from toolchain.calibration.table import Range
from toolchain.quantizers._graph import array_of, constant
from toolchain.quantizers._placement import is_constant
from toolchain.recipe import Recipe
from toolchain.shadow import Shadow, shadow

_AXES_ARE_AN_INPUT = 18  # of ReduceMean, from this opset on


def correct(
    model: ir.Model,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    specs: Sequence[TensorSpec],
    arrays: Mapping[str, Array],
) -> ir.Model:
    """Take the mean shift of every Conv and Gemm out of its bias.

    Args:
        model: the prepared float model; changed and returned.
        recipe: the int8 recipe.
        ranges: its calibrated ranges.
        specs: the model's inputs.
        arrays: samples, one array per input, samples first.
    """
    compared = shadow(model, recipe, ranges, ["own"])
    layers = [layer for layer in compared.layers if _has_room(layer)]
    if not layers:
        return model
    opset = model.opset_imports.get("", 1)
    for layer in layers:
        _add_mean_shift(compared, layer, opset)
    session = compared.session()
    totals, n = [np.zeros(1)] * len(layers), 0
    for feeds in samples.feeds(specs, arrays):
        totals = [total + shift for total, shift in zip(totals, session.run(None, feeds))]
        n += 1
    for layer, total in zip(layers, totals):
        _shift_bias(model.graph, layer, total / n)
    return model


def _has_room(layer: ir.Node) -> bool:
    """Whether a layer has a bias of one number per channel, or can get one."""
    if layer.op_type not in ("Conv", "Gemm") or layer.outputs[0].shape is None:
        return False
    bias = layer.inputs[2] if len(layer.inputs) > 2 else None
    return bias is None or (is_constant(bias) and bias.shape is not None and len(bias.shape) == 1)


def _add_mean_shift(compared: Shadow, layer: ir.Node, opset: int) -> None:
    reference, shape = str(layer.outputs[0].name), layer.outputs[0].shape
    assert shape is not None
    axes = np.array([axis for axis in range(len(shape)) if axis != 1], np.int64)
    shift = compared.add("Sub", [compared.output_of("own", layer), reference], f"{reference}:shift")
    if opset >= _AXES_ARE_AN_INPUT:
        compared.proto.graph.initializer.append(numpy_helper.from_array(axes, f"{reference}:axes"))
        mean = compared.add("ReduceMean", [shift, f"{reference}:axes"], f"{reference}:mean_shift", keepdims=0)
    else:
        mean = compared.add("ReduceMean", [shift], f"{reference}:mean_shift", keepdims=0, axes=axes.tolist())
    compared.give(mean)


def _shift_bias(graph: ir.Graph, layer: ir.Node, shift: Array) -> None:
    bias = layer.inputs[2] if len(layer.inputs) > 2 else None
    before = array_of(bias) if bias is not None else np.zeros(shift.shape, np.float32)
    corrected = constant(graph, f"{layer.name}.corrected_bias", (before - shift).astype(np.float32))
    if len(layer.inputs) < 3:
        layer.resize_inputs(3)
    layer.replace_input_with(2, corrected)
