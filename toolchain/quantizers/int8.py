"""Static int8: activations and weights as integers with calibrated ranges, written as Q/DQ pairs.

Method: B. Jacob et al. (2018), Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference, arXiv:1712.05877. Ours differs in three points: weights have a scale per output channel if the runtime
supports it (R. Krishnamoorthi (2018), arXiv:1806.08342, section 3.2); pairs go only where the runtime fuses them into
integer kernels (`qdq_placement`); and weights and tables that are used in float32 are stored as int8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from runtimes.errors import UsageError
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.graphs.edits import Edits, array_of, deduplicate
from toolchain.graphs.value_range import Range
from toolchain.graphs.weights import scales_of
from toolchain.quantizers import _affine
from toolchain.quantizers._affine import Parameters
from toolchain.quantizers._int8_weights import store_weights
from toolchain.quantizers._kernel_pairs import pairings
from toolchain.quantizers._lstm import integer_lstms, supported_lstms
from toolchain.quantizers._tables import store_tables
from toolchain.recipes.qdq_placement import KEEP_KEY, Bias, Placement, Weight, WeightKey, place
from toolchain.recipes.recipe import Recipe

COMPUTES_IN = "int8"
NEEDS_RANGES = "yes"
TAKES_SCHEME = True
# Integer kernels of two machines differ in single roundings, which a deep network amplifies. Saturation on a CPU
# without VNNI causes about 3% (30 dB), which has to fail.
GOLDEN_TOLERANCE = 2e-2


def tensors(model: ir.Model, recipe: Recipe) -> tuple[str, ...]:
    """Name the activations to observe.

    Raises:
        UsageError: the model has no operator that int8 can compute.
    """
    placement = place(model, _float_nodes(model, recipe))
    if not placement.nodes:
        raise UsageError(
            "No Conv, Gemm or MatMul with constant weights was found, so there is nothing for int8 to compute; "
            "int8-storage makes the file smaller."
        )
    return tuple(str(value.name) for value in placement.activations)


def quantize(model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range]) -> ir.Model:
    """Insert Q/DQ pairs, and store as int8 the weights of operators that stay in float.

    Args:
        model: a prepared float model; changed and returned.
        recipe: its `scheme` is the layout of integers, its `keep` the nodes that stay in float.
        ranges: the ranges of the tensors that `tensors` names. Nodes that use a tensor without a range stay in float.

    Raises:
        UsageError: no operator that int8 can compute has ranges.
    """
    scheme = recipe.scheme or QuantizationScheme()
    keep = _float_nodes(model, recipe)
    placement = place(model, keep, ranges)
    if not placement.nodes:
        raise UsageError(_nothing_placed(model, keep))
    activations = _activation_parameters(placement, scheme, ranges)
    weights = _weight_parameters(placement, activations, scheme)
    edits = Edits(model.graph)
    # Biases come first: their scale is looked up by the node's input, which is replaced later.
    if scheme.quantize_bias:
        for bias in placement.biases:
            _quantize_bias(edits, bias, activations, weights[bias.weight.key])
    stored = {key: _store(edits, *key, parameters) for key, parameters in weights.items()}
    for weight in placement.weights:
        _quantize_weight(edits, weight, stored[weight.key])
    for value, parameters in activations.items():
        _insert_pairs(edits, value, parameters, placement)
    RemoveUnusedNodesPass()(model)
    if scheme.contrib_ops:
        integer_lstms(model, scheme, keep)
    if scheme.integer_constants:
        store_tables(store_weights(model, keep), keep)
    return deduplicate(model)


def _nothing_placed(model: ir.Model, keep: set[str]) -> str:
    """Say why no operator is computed in int8: no sample reached those that could be, or there are none."""
    if place(model, keep).nodes:
        return "No calibration sample reached what int8 could compute; add samples that take other branches."
    return "Every operator that int8 could compute stays in float, so that nothing is left to quantize."


def lstms(model: ir.Model, recipe: Recipe) -> list[ir.Node]:
    """List the LSTMs of a prepared float model that a recipe makes integer ones."""
    is_taken = recipe.scheme is not None and recipe.scheme.contrib_ops
    return supported_lstms(model, _float_nodes(model, recipe)) if is_taken else []


def parameters_of(weight: Weight, scheme: QuantizationScheme) -> Parameters:
    """Choose a weight's parameters; those that a correction chose, if one did."""
    scales, array = scales_of(weight.value), array_of(weight.value)
    if scales is not None:
        return Parameters(scales, np.zeros(scales.shape, np.int8))
    return _affine.for_weight(array, weight.axis, scheme, pairings(weight.node, array.shape, weight.axis))


def _float_nodes(model: ir.Model, recipe: Recipe) -> set[str]:
    """Name the nodes that stay in float: those of the recipe, those that corrections marked, and nodes in subgraphs if
    the runtime takes no integer constants there.
    """
    nodes = list(model.graph.all_nodes())
    kept = {str(node.name) for node in nodes if KEEP_KEY in node.metadata_props}
    if recipe.scheme is not None and not recipe.scheme.integer_constants:
        kept.update(str(node.name) for node in nodes if node.graph is not model.graph)
    return kept.union(recipe.keep)


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
    """Choose parameters by weight and axis; nodes that share both share the integers."""
    selected: dict[WeightKey, Parameters] = {}
    for weight in placement.weights:
        if weight.key not in selected:
            selected[weight.key] = parameters_of(weight, scheme)
    for bias in placement.biases:  # a bias that stays in float here may become int32 in the runtime
        selected[bias.weight.key] = _with_room_for_bias(bias, selected[bias.weight.key], activations)
    return selected


def _with_room_for_bias(bias: Bias, parameters: Parameters, activations: Mapping[ir.Value, Parameters]) -> Parameters:
    """Enlarge the scales of channels whose bias, in steps of input scale times weight scale, would overflow int32."""
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


def _insert_pairs(edits: Edits, value: ir.Value, parameters: Parameters, placement: Placement) -> None:
    """Insert a pair into the value's graph, and into each subgraph that reads it: runtimes fuse within one graph."""
    home = value.graph
    assert isinstance(home, ir.Graph)
    scale = edits.constant(f"{value.name}.scale", parameters.scale)
    zero_point = edits.constant(f"{value.name}.zero_point", parameters.zero_point)
    uses = list(value.uses())
    restored = value
    # If an integer kernel writes the value, all readers get the dequantized form; else float readers keep the original.
    everywhere = value.producer() in placement.nodes
    if everywhere or any(use.node in placement.nodes and use.node.graph is home for use in uses):
        pair = _pair(edits, value, scale, zero_point)
        restored = pair[-1].outputs[0]
        producer = value.producer()
        if producer is None:
            home.insert_before(home[0], pair)
        else:
            home.insert_after(producer, pair)
        if everywhere and value.is_graph_output():
            home.outputs[home.outputs.index(value)] = restored
            value.name, restored.name = restored.name, value.name
    elsewhere: dict[ir.Graph, ir.Value] = {}
    for use in uses:
        graph = use.node.graph
        assert isinstance(graph, ir.Graph)
        if use.node in placement.nodes and graph is not home:
            if graph not in elsewhere:
                pair = _pair(edits, restored if everywhere else value, scale, zero_point)
                graph.insert_before(graph[0], pair)
                elsewhere[graph] = pair[-1].outputs[0]
            use.node.replace_input_with(use.idx, elsewhere[graph])
        elif everywhere or use.node in placement.nodes:
            use.node.replace_input_with(use.idx, restored)


def _pair(edits: Edits, value: ir.Value, scale: ir.Value, zero_point: ir.Value) -> list[ir.Node]:
    quantize_node = edits.node("QuantizeLinear", [value, scale, zero_point], f"{value.name}.quantized")
    inputs = [quantize_node.outputs[0], scale, zero_point]
    dequantize_node = edits.node("DequantizeLinear", inputs, f"{value.name}.dequantized")
    restored = dequantize_node.outputs[0]
    restored.type, restored.shape = value.type, value.shape
    return [quantize_node, dequantize_node]


@dataclass(frozen=True)
class _Stored:
    """A quantized constant in the graph: its integers, scale and zero point."""

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
    """Add a DequantizeLinear for one reader: runtimes fuse it only if it has no other reader."""
    attributes = {} if stored.axis is None else {"axis": stored.axis}
    inputs = [stored.integers, stored.scale, stored.zero_point]
    node = edits.node("DequantizeLinear", inputs, name, attributes=attributes)
    node.outputs[0].type, node.outputs[0].shape = ir.TensorType(ir.DataType.FLOAT), stored.integers.shape
    assert isinstance(before.graph, ir.Graph)
    before.graph.insert_before(before, node)
    return node.outputs[0]


def _input_parameters(node: ir.Node, activations: Mapping[ir.Value, Parameters]) -> Parameters:
    source = node.inputs[0]
    assert source is not None
    return activations[source]
