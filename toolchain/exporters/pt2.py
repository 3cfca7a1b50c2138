"""Exporter of `.pt2`, programs saved with torch.export.save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.export.graph_signature import InputKind, TensorArgument
from torch.utils import _pytree as pytree

from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec
from toolchain.exporters._examples import example_feed
from toolchain.exporters._quiet import quiet, root_cause
from toolchain.exporters.tracing.export_module import export_and_check
from toolchain.exporters.tracing.wiring import Place, Wired
from toolchain.models.onnx_model import OnnxModel
from toolchain.sources.sizes import resized, sizes_of


def export(
    source: str, inputs: Sequence[TensorSpec], out: Path, samples: Mapping[str, Array] | None = None
) -> OnnxModel:
    """Export a saved program; its own example arguments are used.

    Args:
        source: the .pt2 file.
        inputs: specs that replace the program's names and shapes; may be empty.
        out: the file to write.
        samples: used only if the program has no example arguments.

    Raises:
        UsageError: the file cannot be read, a spec does not fit the program, or the program cannot be exported.
    """
    if not Path(source).is_file():
        raise UsageError(f"There is no file '{source}'.")
    try:
        with quiet():
            program = torch.export.load(source)
    except Exception as error:  # zipfile, json and torch raise errors of their own
        raise UsageError(f"'{source}' cannot be read as a torch.export program: {root_cause(error)}") from error
    own = _specs(program)
    specs = tuple(inputs) or own
    names = _names(specs, own, source)
    feed = _examples(program, dict(zip(names, specs))) or example_feed(specs, samples)
    wired = Wired(program.module(), _by_structure(program, [names.index(spec.name) for spec in own]))
    return export_and_check(wired, specs, feed, out, source)


def _specs(program: torch.export.ExportedProgram) -> tuple[TensorSpec, ...]:
    """Read a program's inputs; its symbols are the dynamic dimensions."""
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    tensors = [(name, values[name]) for name in program.graph_signature.user_inputs if name in values]
    return tuple(
        TensorSpec(
            name,
            str(value.dtype).removeprefix("torch."),
            tuple(size if isinstance(size, int) else str(size) for size in value.shape),
        )
        for name, value in tensors
        if isinstance(value, torch.Tensor)
    )


def _names(specs: Sequence[TensorSpec], own: Sequence[TensorSpec], source: str) -> list[str]:
    """Find the program's own name of each described input: the same one, or the one in the same place.

    Raises:
        UsageError: there are more or less, or an input has another type or rank.
    """
    takes = f"'{source}' takes {', '.join(map(str, own))}"
    if len(specs) != len(own):
        raise UsageError(f"{takes}; describe each with an --input, or none.")
    by_name = {spec.name: spec for spec in own}
    named = {spec.name for spec in specs} == set(by_name)
    pairs = [(spec, by_name[spec.name] if named else place) for spec, place in zip(specs, own)]
    for spec, found in pairs:
        if (spec.dtype, len(spec.shape)) != (found.dtype, len(found.shape)):
            raise UsageError(f"{takes}; --input '{spec}' does not fit.")
    return [found.name for _, found in pairs]


def _examples(program: torch.export.ExportedProgram, specs: Mapping[str, TensorSpec]) -> dict[str, Array] | None:
    """Take the program's examples for its inputs by name, at the sizes that `specs` declares; None if it has none."""
    leaves = pytree.tree_leaves(program.example_inputs)
    found = dict(zip(program.graph_signature.user_inputs, leaves))
    if any(not isinstance(found.get(name), torch.Tensor) for name in specs):
        return None
    arrays = {spec.name: found[name].detach().numpy() for name, spec in specs.items()}
    return resized(list(specs.values()), arrays, sizes_of(list(specs.values()), arrays))


def _by_structure(program: torch.export.ExportedProgram, order: Sequence[int]) -> Place:
    """Wire tensors to a program, which takes its arguments only in the structure that it was exported with.

    Args:
        program: the program.
        order: of each of the program's tensors, the place among the inputs.
    """
    arguments = [each.arg for each in program.graph_signature.input_specs if each.kind is InputKind.USER_INPUT]

    def place(tensors: Sequence[torch.Tensor]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        ordered = iter([tensors[index] for index in order])
        leaves = [next(ordered) if isinstance(each, TensorArgument) else each.value for each in arguments]
        positional, keywords = pytree.tree_unflatten(leaves, program.call_spec.in_spec)
        return positional, keywords

    return place
