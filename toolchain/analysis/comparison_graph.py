"""Comparison graph: the float model and quantized copies of it in one graph, compared in one pass over the samples.

In the copy "own", the float model's activations feed each layer, so the difference at its output comes from quantizing
its own inputs and weights. The copy "total" is the complete quantized model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from toolchain.graphs.edits import Edits
from toolchain.graphs.value_range import Range
from toolchain.quantizers import int8
from toolchain.recipes.qdq_placement import CLAMPS, place
from toolchain.recipes.recipe import Recipe

Copy = Literal["own", "total"]


@dataclass(frozen=True)
class Layer:
    """An operator that int8 computes, with its outputs in the reference and the copies.

    Attributes:
        node: the operator in the model that was quantized.
        reference: its output in the reference.
        copies: its output in the copies; in "total", the dequantized output that its readers get.
    """

    node: ir.Node
    reference: ir.Value
    copies: Mapping[Copy, ir.Value]


@dataclass(frozen=True)
class ComparisonGraph:
    """A reference and its copies, to which the caller adds reductions as outputs.

    Attributes:
        model: the reference and its copies, without outputs.
        layers: the int8 layers of the main graph, in the model's order.
        edits: edits of the model's graph.
    """

    model: ir.Model
    layers: Sequence[Layer]
    edits: Edits


def build_comparison_graph(
    reference: ir.Model, model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range], copies: Sequence[Copy]
) -> ComparisonGraph:
    """Add copies of a model's int8 form to a copy of the reference.

    Args:
        reference: the prepared float model; it stays unchanged.
        model: the model to quantize: the reference, or its corrected form with the same nodes; it stays unchanged.
        recipe: the int8 recipe.
        ranges: the calibrated ranges.
        copies: the copies to add.
    """
    combined = reference.clone()
    edits = Edits(combined.graph)
    originals = {node.name: node for node in combined.graph}
    selected = {*place(model, recipe.keep, ranges).nodes, *int8.lstms(model, recipe)}
    nodes = [node for node in model.graph if node in selected and node.op_type not in CLAMPS]
    written = {copy: _add_copy(edits, originals, model, recipe, ranges, copy) for copy in copies}
    layers = [
        Layer(node, _output(originals[node.name]), {copy: written[copy][node.name] for copy in copies})
        for node in nodes
    ]
    combined.graph.outputs.clear()
    return ComparisonGraph(combined, layers, edits)


def _add_copy(
    edits: Edits,
    originals: Mapping[str | None, ir.Node],
    model: ir.Model,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    copy: Copy,
) -> Mapping[str | None, ir.Value]:
    """Move a model's int8 form into the graph of the reference, whose nodes by name are `originals`.

    Returns:
        Each node's output, in "total" its dequantized output, by the node's name in the float model.
    """
    quantized = model.clone()
    nodes = {node.name: node for node in quantized.graph}
    # A quantizer may rename nodes and values, but keeps the objects.
    floats = {
        value: original
        for name, node in nodes.items()
        if name in originals
        for value, original in zip(node.outputs, originals[name].outputs)
    }
    floats.update(zip(quantized.graph.inputs, edits.graph.inputs))
    graph = int8.quantize(quantized, recipe, ranges).graph
    if copy == "own":
        for node in graph:
            if node.op_type == "QuantizeLinear":
                node.replace_input_with(0, floats[_input(node)])
            elif node.op_type == "DynamicQuantizeLSTM":  # which quantizes its input itself
                for index, value in enumerate(node.inputs):
                    node.replace_input_with(index, floats.get(value, value) if value is not None else None)
    graph.outputs.clear()  # an output may be an input of the model
    for value, original in zip(graph.inputs, edits.graph.inputs):
        value.replace_all_uses_with(original)
    written = {name: _output(node) for name, node in nodes.items()}
    if copy == "total":
        written = {name: _as_read(value) for name, value in written.items()}
    _move(graph, edits, f"{copy}:")
    return written


def _output(node: ir.Node) -> ir.Value:
    """Find a node's first output; those that an LSTM omits come before it."""
    return next(filter(_has_name, node.outputs), node.outputs[0])


def _as_read(value: ir.Value) -> ir.Value:
    for use in value.uses():
        if use.node.op_type == "QuantizeLinear":
            return next(reader.node.outputs[0] for reader in use.node.outputs[0].uses())
    return value


def _move(graph: ir.Graph, edits: Edits, prefix: str) -> None:
    for value in [*graph.initializers.values()]:
        del graph.initializers[str(value.name)]
        value.name = edits.fresh(f"{prefix}{value.name}")
        edits.graph.register_initializer(value)
    for inner in graph.subgraphs():
        for value in [*inner.inputs, *(value for node in inner for value in filter(_has_name, node.outputs))]:
            value.name = edits.fresh(f"{prefix}{value.name}")
    for node in list(graph):
        graph.remove(node)
        node.name = edits.fresh(f"{prefix}{node.name}")
        for value in filter(_has_name, node.outputs):
            value.name = edits.fresh(f"{prefix}{value.name}")
            value.shape = None  # ONNX Runtime takes equal names of dimensions for equal sizes; those of data may differ
        edits.graph.append(node)


def _has_name(output: ir.Value) -> bool:
    return bool(output.name)  # an omitted optional output has the name ""


def _input(node: ir.Node) -> ir.Value:
    value = node.inputs[0]
    assert value is not None
    return value
