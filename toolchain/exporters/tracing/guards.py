"""Guards that a trace of a model relied on: the sizes, and the line of the model that asked for them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import torch
from torch.fx.experimental import symbolic_shapes

from runtimes.tensors import TensorSpec
from toolchain.exporters._quiet import quiet
from toolchain.exporters.tracing.model_lines import is_torch, line_of
from toolchain.exporters.tracing.recurrent import recurrent_shapes
from toolchain.sources.sized_runs import MAX_ELEMENTS

_MAX_SIZES = 9  # of a dimension: each costs an inference


def line_that_depends_on(
    program: torch.nn.Module, arguments: tuple[torch.Tensor, ...], inputs: Sequence[TensorSpec], name: str
) -> str:
    """Describe the line of a model that depends on the size of a dimension; empty if none is found.

    Args:
        program: a module whose `forward` takes `*arguments`.
        arguments: one tensor per input.
        inputs: the declared inputs.
        name: the dimension.
    """
    traced = _traced(program, arguments, inputs, {name})
    frames = [guard.sloc.framework_loc for guard in _guards(traced)] if traced is not None else []
    return next(filter(None, map(line_of, frames)), "")


def sizes_of_interest(
    program: torch.nn.Module, arguments: tuple[torch.Tensor, ...], inputs: Sequence[TensorSpec]
) -> dict[str, list[int]]:
    """List sizes of each dimension at which a model may do something else than at the example's.

    They are the numbers that a trace compares the dimension with, and their neighbours: a model that asks whether
    `x.shape[1] == 12` is traced for one answer, and torch.onnx drops the assertion that it holds (pytorch 2.13). The
    arguments are those of `line_that_depends_on`.
    """
    names = {size for spec in inputs for size in spec.shape if isinstance(size, str)}
    traced = _traced(program, arguments, inputs, names) if names else None
    if traced is None:
        return {}
    values = {node.name: node.meta["val"] for node in traced.graph.nodes if node.op == "placeholder"}
    found: dict[str, set[int]] = {}
    for spec, name in zip(inputs, traced.graph_signature.user_inputs):
        for declared, size in zip(spec.shape, values[name].shape):
            if isinstance(declared, str) and isinstance(size, torch.SymInt):
                conditions = [guard.expr for guard in _guards(traced) if guard.expr.free_symbols == {size.node.expr}]
                numbers = {int(each) for condition in conditions for each in condition.atoms() if each.is_Integer}
                near = {size for number in numbers for size in (number - 1, number, number + 1)}
                found.setdefault(declared, set()).update(size for size in near if 0 < size <= MAX_ELEMENTS)
    return {name: sorted(sizes, reverse=True)[:_MAX_SIZES] for name, sizes in found.items()}


def _traced(
    program: torch.nn.Module, arguments: tuple[torch.Tensor, ...], inputs: Sequence[TensorSpec], names: set[str]
) -> torch.export.ExportedProgram | None:
    """Trace a model with some dimensions as dynamic as it allows; None if that fails."""
    auto = torch.export.Dim.AUTO
    shapes = tuple({axis: auto for axis, size in enumerate(spec.shape) if size in names} for spec in inputs)
    try:
        with quiet(), recurrent_shapes(), _frames_of_users():
            return torch.export.export(program, arguments, dynamic_shapes=(shapes,), strict=False)
    except Exception:  # the search for a reason must not hide the error that it is for
        return None


def _guards(program: torch.export.ExportedProgram) -> list[Any]:
    """List what a trace relied on, equations first, since bounds are often those of torch's own kernels."""
    values = (node.meta.get("val") for node in program.graph.nodes)
    environment = next(value.fake_mode.shape_env for value in values if hasattr(value, "fake_mode"))
    return sorted(environment.guards, key=lambda guard: type(guard.expr).__name__ not in ("Equality", "Unequality"))


@contextlib.contextmanager
def _frames_of_users() -> Iterator[None]:
    """Let torch name the innermost frame outside torch, where it would name the innermost one of its own."""
    with mock.patch.object(symbolic_shapes, "uninteresting_files", _Torch):
        yield


class _Torch:
    """The set of torch's files."""

    def __contains__(self, file: object) -> bool:
        return is_torch(str(file))
