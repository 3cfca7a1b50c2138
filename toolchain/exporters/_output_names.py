"""Names of the outputs of an exported graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes.common import NameFixPass

from runtimes.errors import UsageError
from toolchain.models.onnx_model import OnnxModel, load_ir, save_copy


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
        raise UsageError(f"No output depends on an input ({', '.join(names) or 'there is none'}).")
    values = [value for value in model.graph.outputs if value in reached]
    inputs = {value.name for value in model.graph.inputs}
    _set_outputs(model, values, [f"{name}_output" if name in inputs else name for name in kept])
    return kept


def rename_outputs(model: OnnxModel, names: Sequence[str], source: str, out: Path) -> OnnxModel:
    """Rename the first outputs of a model, in a copy of its file.

    Args:
        model: the model.
        names: new names, in the order of the outputs; the others keep theirs.
        source: the source's name in errors.
        out: the file to write; the model's own, if that is one of ours.

    Raises:
        UsageError: there are fewer outputs, or a name is taken.
    """
    if not names:
        return model
    old = [spec.name for spec in model.outputs]
    if len(names) > len(old):
        raise UsageError(f"'{source}' has {len(old)} outputs ({', '.join(old)}), and --output names {len(names)}.")
    every = [*names, *old[len(names) :]]
    taken = [spec.name for spec in model.inputs] + every
    wrong = next((name for name in names if not name.strip() or taken.count(name) > 1), None)
    if wrong is not None:
        raise UsageError(f"--output '{wrong}' is empty, or is the name of another input or output of '{source}'.")
    graph = load_ir(model.path)
    _set_outputs(graph, list(graph.graph.outputs), every)
    return save_copy(model, graph, out)


def _set_outputs(model: ir.Model, values: Sequence[ir.Value], names: Sequence[str]) -> None:
    """Make values the outputs of a graph, under new names; an input, or what is an output already, is copied first."""
    outputs: list[ir.Value] = []
    for value, name in zip(values, names):
        if value in model.graph.inputs or any(value is other for other in outputs):
            copy = ir.node("Identity", [value])
            model.graph.append(copy)
            copy.outputs[0].type, copy.outputs[0].shape = value.type, value.shape
            value = copy.outputs[0]
        value.name = name
        outputs.append(value)
    model.graph.outputs[:] = outputs
    NameFixPass()(model)  # a tensor inside may have an output's or an input's name


def _reached(graph: ir.Graph) -> set[ir.Value]:
    """Find the values that depend on an input, through subgraphs too."""
    reached = set(graph.inputs)
    for node in graph:
        inner = {value for each in _nodes(node) for value in each.inputs if value is not None}
        if reached & inner:
            reached.update(node.outputs)
    return reached


def _nodes(node: ir.Node) -> list[ir.Node]:
    """List a node and those of its subgraphs."""
    graphs = [attribute.value for attribute in node.attributes.values() if attribute.type == ir.AttributeType.GRAPH]
    return [node, *(each for graph in graphs for each in graph.all_nodes())]
