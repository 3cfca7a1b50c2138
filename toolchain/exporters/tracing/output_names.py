"""Names of the outputs of an exported graph."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from runtimes.errors import UsageError


def keep_outputs(model: ir.Model, names: Sequence[str]) -> list[str]:
    """Name a graph's outputs, and take out those that no input reaches, which are constants.

    An output with the name of an input is called `<name>_output`.

    Args:
        model: a graph, which is changed.
        names: the source's name for each output, in order.

    Returns:
        The source's names of the outputs that stayed.

    Raises:
        UsageError: no output depends on an input.
    """
    reached = _reached(model.graph)
    kept = [name for name, value in zip(names, model.graph.outputs) if value in reached]
    if not kept:
        raise UsageError(f"No output depends on an input: {', '.join(names) or 'none'}.")
    values = [value for value in model.graph.outputs if value in reached]
    inputs = {value.name for value in model.graph.inputs}
    model.graph.outputs[:] = [
        _renamed(model.graph, value, f"{name}_output" if name in inputs else name) for name, value in zip(kept, values)
    ]
    return kept


def _reached(graph: ir.Graph) -> set[ir.Value]:
    """Find the values that depend on an input, through subgraphs too."""
    reached = set(graph.inputs)
    for node in graph:
        inner = [value for each in _nodes(node) for value in each.inputs]
        if reached & {value for value in inner if value is not None}:
            reached.update(node.outputs)
    return reached


def _nodes(node: ir.Node) -> list[ir.Node]:
    """List a node and those of its subgraphs."""
    graphs = [attribute.value for attribute in node.attributes.values() if attribute.type == ir.AttributeType.GRAPH]
    return [node, *(each for graph in graphs for each in graph.all_nodes())]


def _renamed(graph: ir.Graph, value: ir.Value, name: str) -> ir.Value:
    """Give an output a name; an input, or what is an output already, is copied first."""
    if value in graph.inputs or sum(value is other for other in graph.outputs) > 1:
        copy = ir.node("Identity", [value])
        graph.append(copy)
        (copied,) = copy.outputs
        copied.type, copied.shape = value.type, value.shape
        value = copied
    value.name = name
    return value
