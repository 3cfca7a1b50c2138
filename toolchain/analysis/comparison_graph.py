"""The float model and its quantized copies as one graph, so that one pass over the samples compares them.

In the copy "own", every layer is fed by the float model's activations, so what differs at its output is what
quantizing its own inputs and weights does. The copy "total" is the quantized model as it will run.
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
    """An operator that int8 computes, in all its forms.

    Attributes:
        node: the operator in the model that was quantized.
        reference: what the reference writes.
        copies: what the copies write; in "total", what its readers get: the integers, read back.
    """

    node: ir.Node
    reference: ir.Value
    copies: Mapping[Copy, ir.Value]


@dataclass(frozen=True)
class Shadow:
    """A graph that grows the reductions it is to give.

    Attributes:
        model: the reference and its copies; it has no outputs yet.
        layers: in the model's order; those of subgraphs are not among them.
    """

    model: ir.Model
    layers: Sequence[Layer]
    edits: Edits


def shadow(
    reference: ir.Model, model: ir.Model, recipe: Recipe, ranges: Mapping[str, Range], copies: Sequence[Copy]
) -> Shadow:
    """Put copies of a model's int8 form beside a reference.

    Args:
        reference: the prepared float model; left as it is.
        model: what is quantized: the reference, or what corrections made of it, which keep its nodes; left as it is.
        recipe: the int8 recipe.
        ranges: its calibrated ranges.
        copies: which to add.
    """
    combined = reference.clone()
    edits = Edits(combined.graph)
    originals = {node.name: node for node in combined.graph}
    selected = place(model, recipe.keep, ranges).nodes
    nodes = [node for node in model.graph if node in selected and node.op_type not in CLAMPS]
    written = {copy: _add_copy(edits, originals, model, recipe, ranges, copy) for copy in copies}
    layers = [
        Layer(node, originals[node.name].outputs[0], {copy: written[copy][node.name] for copy in copies})
        for node in nodes
    ]
    combined.graph.outputs.clear()
    return Shadow(combined, layers, edits)


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
        What each node writes, or in "total" what is read of it, by the node's name in the float model.
    """
    quantized = model.clone()
    nodes = {node.name: node for node in quantized.graph}
    # A quantizer leaves nodes and the values between them the objects that they were, whatever it calls them.
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
    for value, original in zip(graph.inputs, edits.graph.inputs):
        value.replace_all_uses_with(original, replace_graph_outputs=True)
    written = {name: node.outputs[0] for name, node in nodes.items()}
    if copy == "total":
        written = {name: _as_read(value) for name, value in written.items()}
    _move(graph, edits, f"{copy}:")
    return written


def _as_read(value: ir.Value) -> ir.Value:
    for use in value.uses():
        if use.node.op_type == "QuantizeLinear":
            return next(reader.node.outputs[0] for reader in use.node.outputs[0].uses())
    return value


def _move(graph: ir.Graph, edits: Edits, prefix: str) -> None:
    graph.outputs.clear()
    for value in [*graph.initializers.values()]:
        del graph.initializers[str(value.name)]
        value.name = edits.fresh(f"{prefix}{value.name}")
        edits.graph.register_initializer(value)
    for inner in graph.subgraphs():
        for value in [*inner.inputs, *(value for node in inner for value in filter(_is_given, node.outputs))]:
            value.name = edits.fresh(f"{prefix}{value.name}")
    for node in list(graph):
        graph.remove(node)
        node.name = edits.fresh(f"{prefix}{node.name}")
        for value in filter(_is_given, node.outputs):
            value.name = edits.fresh(f"{prefix}{value.name}")
        edits.graph.append(node)


def _is_given(output: ir.Value) -> bool:
    return bool(output.name)  # an optional output that a node leaves out is called ""


def _input(node: ir.Node) -> ir.Value:
    value = node.inputs[0]
    assert value is not None
    return value
