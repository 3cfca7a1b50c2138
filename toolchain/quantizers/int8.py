"""int8 static: activations and weights as integers, their ranges fixed by calibration, as Q/DQ pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from runtimes.errors import UsageError
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.calibration.table import Range
from toolchain.graphs.edits import Edits, array_of, drop_unused_initializers
from toolchain.graphs.placement import Bias, Placement, Weight, WeightKey, place, place_by_range
from toolchain.quantizers import _affine
from toolchain.quantizers._affine import Parameters
from toolchain.recipe import Recipe

COMPUTES_IN = "int8"
NEEDS_RANGES = "yes"
# Integer kernels of two machines agree but for single roundings, which a deep network amplifies; saturation on a CPU
# without VNNI shows as 3% (30 dB).
GOLDEN_TOLERANCE = 2e-2


def tensors(model: ir.Model, recipe: Recipe) -> tuple[str, ...]:
    """The activations to observe.

    Raises:
        UsageError: the model has nothing that int8 could compute.
    """
    placement = place(model, recipe.keep)
    if not placement.nodes:
        raise UsageError(
            "No Conv, Gemm or MatMul with constant weights was found, so there is nothing for int8 to compute."
        )
    return tuple(str(value.name) for value in placement.activations)


def quantize(model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range]) -> ir.Model:
    """Insert Q/DQ pairs.

    Args:
        model: a prepared float model.
        recipe: its `scheme` says how integers are laid out, its `keep` which nodes stay in float.
        ranges: for every tensor that `tensors` names.
    """
    scheme = recipe.scheme or QuantizationScheme()
    placement = place_by_range(model, recipe.keep, ranges)
    activations = _activation_parameters(placement, scheme, ranges)
    weights = _weight_parameters(placement, activations, scheme)
    edits = Edits(model.graph)
    # Biases first: their scale is looked up by the input that the node still has.
    if scheme.quantize_bias:
        for bias in placement.biases:
            _quantize_bias(edits, bias, activations, weights[bias.weight.key])
    stored = {key: _store(edits, *key, parameters) for key, parameters in weights.items()}
    for weight in placement.weights:
        _quantize_weight(edits, weight, stored[weight.key])
    for value, parameters in activations.items():
        _insert_pair(edits, value, parameters, placement)
    drop_unused_initializers(model.graph)
    return model


def _activation_parameters(
    placement: Placement, scheme: QuantizationScheme, ranges: Mapping[str, Range]
) -> dict[ir.Value, Parameters]:
    parameters: dict[ir.Value, Parameters] = {}
    for value in placement.activations:
        root = value
        while root in placement.same_scale:
            root = placement.same_scale[root]
        parameters[value] = _affine.for_activation(ranges[str(root.name)], scheme)
    return parameters


def _weight_parameters(
    placement: Placement, activations: Mapping[ir.Value, Parameters], scheme: QuantizationScheme
) -> dict[WeightKey, Parameters]:
    """Parameters by weight and axis; nodes that share both share the integers."""
    chosen: dict[WeightKey, Parameters] = {}
    for weight in placement.weights:
        if weight.key not in chosen:
            chosen[weight.key] = _affine.for_weight(array_of(weight.value), weight.axis, scheme)
    if scheme.quantize_bias:
        for bias in placement.biases:
            chosen[bias.weight.key] = _with_room_for(bias, chosen[bias.weight.key], activations)
    return chosen


def _with_room_for(bias: Bias, parameters: Parameters, activations: Mapping[ir.Value, Parameters]) -> Parameters:
    """A channel of tiny weights and a normal bias would need more than int32 for the bias, so its scale grows."""
    largest = np.abs(array_of(bias.node.inputs[bias.index])).astype(np.float64)
    smallest = largest / (2.0**30 * float(_input_parameters(bias.node, activations).scale))
    smallest = smallest if parameters.scale.ndim else smallest.max()
    return Parameters(np.maximum(parameters.scale, smallest).astype(np.float32), parameters.zero_point)


def _store(edits: Edits, value: ir.Value, axis: int, parameters: Parameters) -> _Stored:
    integers = _affine.quantize(array_of(value), parameters, axis)
    return _Stored.of(edits, str(value.name), integers, parameters, axis)


def _quantize_weight(edits: Edits, weight: Weight, stored: _Stored) -> None:
    restored = _dequantized(edits, weight.node, f"{weight.node.name}.weight", stored)
    weight.node.replace_input_with(weight.index, restored)


def _quantize_bias(edits: Edits, bias: Bias, activations: Mapping[ir.Value, Parameters], weight: Parameters) -> None:
    scale = np.asarray(_input_parameters(bias.node, activations).scale * weight.scale, np.float32)
    array = array_of(bias.node.inputs[bias.index])
    integers = np.clip(np.rint(array.astype(np.float64) / scale), -(2.0**31), 2.0**31 - 1).astype(np.int32)
    name = f"{bias.node.name}.bias"
    stored = _Stored.of(edits, name, integers, Parameters(scale, np.zeros(scale.shape, np.int32)), 0)
    bias.node.replace_input_with(bias.index, _dequantized(edits, bias.node, name, stored))


def _insert_pair(edits: Edits, value: ir.Value, parameters: Parameters, placement: Placement) -> None:
    graph, producer = edits.graph, value.producer()
    uses = list(value.uses())
    scale = edits.constant(f"{value.name}.scale", parameters.scale)
    zero_point = edits.constant(f"{value.name}.zero_point", parameters.zero_point)
    quantize_node = edits.node("QuantizeLinear", [value, scale, zero_point], f"{value.name}.quantized")
    inputs = [quantize_node.outputs[0], scale, zero_point]
    dequantize_node = edits.node("DequantizeLinear", inputs, f"{value.name}.dequantized")
    restored = dequantize_node.outputs[0]
    restored.type, restored.shape = value.type, value.shape
    # Where an integer kernel writes the value, its float form no longer exists; elsewhere float readers keep it.
    everywhere = producer in placement.nodes
    for use in uses:
        if everywhere or use.node in placement.nodes:
            use.node.replace_input_with(use.idx, restored)
    pair = [quantize_node, dequantize_node]
    if everywhere and value.is_graph_output():
        graph.outputs[graph.outputs.index(value)] = restored
        value.name, restored.name = restored.name, value.name
    if producer is None:
        graph.insert_before(graph[0], pair)
    else:
        graph.insert_after(producer, pair)


@dataclass(frozen=True)
class _Stored:
    """A quantized constant in the graph: its integers, and what turns them back."""

    integers: ir.Value
    scale: ir.Value
    zero_point: ir.Value
    axis: int | None

    @classmethod
    def of(cls, edits: Edits, name: str, integers: Array, parameters: Parameters, axis: int) -> _Stored:
        return cls(
            edits.constant(f"{name}.integers", integers),
            edits.constant(f"{name}.scale", parameters.scale),
            edits.constant(f"{name}.zero_point", parameters.zero_point),
            axis if parameters.scale.ndim else None,
        )


def _dequantized(edits: Edits, before: ir.Node, name: str, stored: _Stored) -> ir.Value:
    """A DequantizeLinear for one reader: runtimes fuse it only where nothing else reads it."""
    attributes = {} if stored.axis is None else {"axis": stored.axis}
    inputs = [stored.integers, stored.scale, stored.zero_point]
    node = edits.node("DequantizeLinear", inputs, name, attributes=attributes)
    node.outputs[0].type, node.outputs[0].shape = ir.TensorType(ir.DataType.FLOAT), stored.integers.shape
    edits.graph.insert_before(before, node)
    return node.outputs[0]


def _input_parameters(node: ir.Node, activations: Mapping[ir.Value, Parameters]) -> Parameters:
    source = node.inputs[0]
    assert source is not None
    return activations[source]
