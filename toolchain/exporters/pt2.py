"""Exporter of `.pt2`, programs saved with torch.export.save."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.export.graph_signature import InputKind, TensorArgument
from torch.utils import _pytree as pytree

from runtimes.errors import UsageError
from runtimes.sample_arrays import Rows
from runtimes.tensors import Array, TensorSpec
from toolchain.exporters._examples import example_feed
from toolchain.exporters._quiet import quiet
from toolchain.exporters._root_cause import root_cause
from toolchain.exporters.checks.declared_inputs import check_dtypes, matched
from toolchain.exporters.saved_programs import UnsafeProgramError, advice
from toolchain.exporters.saved_programs.read_program import read_program
from toolchain.exporters.tracing.export_module import export_and_check
from toolchain.exporters.tracing.wiring import Place, Wired
from toolchain.models.onnx_model import OnnxModel
from toolchain.sources.sizes import resized, sizes_of


def export(
    source: str,
    inputs: Sequence[TensorSpec],
    out: Path,
    samples: Mapping[str, Rows] | None = None,
    *,
    trusted: bool = False,
) -> OnnxModel:
    """Export a saved program; its own example arguments are used.

    Args:
        source: the .pt2 file.
        inputs: specs that replace the program's names and shapes; may be empty.
        out: the file to write.
        samples: used only if the program has no example arguments.
        trusted: read the file by torch.export.load, which runs what is pickled in it.

    Raises:
        UsageError: the file cannot be read, could run code and is not trusted, a spec does not fit the program, or the
            program cannot be exported.
    """
    if not Path(source).is_file():
        raise UsageError(f"There is no file '{source}'.")
    try:
        with quiet():
            program = torch.export.load(source) if trusted else read_program(Path(source))
    except UnsafeProgramError as problem:
        raise UsageError(advice(source, problem)) from None
    except Exception as error:  # zipfile, json and torch raise errors of their own
        raise UsageError(f"'{source}' cannot be read as a torch.export program: {root_cause(error)}") from error
    own = _specs(program)
    check_dtypes(own, source)
    specs = matched(own, inputs, source, lambda spec, found: _kind(spec) == _kind(found))
    _check_sizes(specs, program, source)
    names = [spec.name for spec in own]
    feed = _examples(program, dict(zip(names, specs))) or example_feed(specs, samples)
    return export_and_check(Wired(program.module(), _by_structure(program)), specs, feed, out, source)


def _specs(program: torch.export.ExportedProgram) -> tuple[TensorSpec, ...]:
    """Read a program's inputs; its symbols are the dynamic dimensions."""
    return tuple(
        TensorSpec(
            name,
            str(value.dtype).removeprefix("torch."),
            tuple(size if isinstance(size, int) else str(size) for size in value.shape),
        )
        for name, value in _tensors(program)
    )


def _tensors(program: torch.export.ExportedProgram) -> list[tuple[str, torch.Tensor]]:
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    found = [(name, values.get(name)) for name in program.graph_signature.user_inputs]
    return [(name, value) for name, value in found if isinstance(value, torch.Tensor)]


def _kind(spec: TensorSpec) -> tuple[str, int]:
    return spec.dtype, len(spec.shape)


def _check_sizes(specs: Sequence[TensorSpec], program: torch.export.ExportedProgram, source: str) -> None:
    """Check that every dynamic dimension may have any size.

    Raises:
        UsageError: one follows from another (`2*n`); gives each --input at the example's sizes.
    """
    for spec in specs:
        derived = [size for size in spec.shape if isinstance(size, str) and not size.isidentifier()]
        if derived:
            at_example = [
                dataclasses.replace(each, shape=_example_shape(value))
                for each, (_, value) in zip(specs, _tensors(program))
            ]
            described = " ".join(f"--input '{each}'" for each in at_example)
            raise UsageError(
                f"'{source}' declares the size '{derived[0]}' of input '{spec.name}', and a bundle's dimension "
                f"takes any size; declare numbers, as in {described}."
            )


def _example_shape(value: torch.Tensor) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else int(size.node.hint) for size in value.shape)


def _examples(program: torch.export.ExportedProgram, specs: Mapping[str, TensorSpec]) -> dict[str, Array] | None:
    """Take the program's examples for its inputs by name, at the sizes that `specs` declares; None if it has none."""
    leaves = pytree.tree_leaves(program.example_inputs)
    found = dict(zip(program.graph_signature.user_inputs, leaves))
    if any(not isinstance(found.get(name), torch.Tensor) for name in specs):
        return None
    arrays = {spec.name: found[name].detach().numpy() for name, spec in specs.items()}
    return resized(list(specs.values()), arrays, sizes_of(list(specs.values()), arrays))


def _by_structure(program: torch.export.ExportedProgram) -> Place:
    """Wire tensors to a program, which takes its arguments only in the structure that it was exported with."""
    arguments = [each.arg for each in program.graph_signature.input_specs if each.kind is InputKind.USER_INPUT]

    def place(tensors: Sequence[torch.Tensor]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        own = iter(tensors)
        leaves = [next(own) if isinstance(each, TensorArgument) else each.value for each in arguments]
        positional, keywords = pytree.tree_unflatten(leaves, program.call_spec.in_spec)
        return positional, keywords

    return place
