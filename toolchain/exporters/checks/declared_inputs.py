"""The inputs that the user declares, which an export may not narrow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from runtimes.errors import UsageError
from runtimes.tensors import TensorSpec
from toolchain.models.onnx_model import OnnxModel, load_ir, save_copy
from toolchain.models.shape_inference import infer_shapes
from toolchain.sources.input_specs import DTYPES


def matched(
    own: Sequence[TensorSpec],
    inputs: Sequence[TensorSpec],
    source: str,
    fits: Callable[[TensorSpec, TensorSpec], bool],
) -> tuple[TensorSpec, ...]:
    """Find the user's spec of each input that a source describes itself: that of its name, or else in its place.

    Args:
        own: the source's specs.
        inputs: the user's; the source's own are returned if there are none.
        source: the source's name in errors.
        fits: tells whether a spec may stand for one of the source's.

    Returns:
        Specs in the source's order.

    Raises:
        UsageError: there are more or less, or one does not fit.
    """
    if not inputs:
        return tuple(own)
    takes = f"'{source}' takes {', '.join(map(str, own))}"
    if len(inputs) != len(own):
        raise UsageError(f"{takes}; describe each with an --input, or none.")
    by_name = {spec.name: spec for spec in inputs}
    ordered = [by_name[spec.name] for spec in own] if {spec.name for spec in own} == set(by_name) else inputs
    for spec, found in zip(ordered, own):
        if not fits(spec, found):
            right = dataclasses.replace(found, name=spec.name)
            raise UsageError(f"{takes}; --input '{spec}' does not fit. Write it like --input '{right}'.")
    return tuple(ordered)


def check_dtypes(specs: Sequence[TensorSpec], source: str) -> None:
    """Check that inputs are of types that they can have.

    Raises:
        UsageError: one has another, as bfloat16; names it, and an --input that the model could take.
    """
    for spec in specs:
        if spec.dtype not in DTYPES:
            raise UsageError(
                f"'{source}' takes input '{spec.name}' as {spec.dtype}, and inputs are {', '.join(DTYPES)}. Convert it "
                "inside the model, so that it can be declared as in --input "
                f"'{dataclasses.replace(spec, dtype='float32')}'."
            )


def fixed_error(source: str, specs: Sequence[TensorSpec], fixed: Mapping[str, int], reason: str = "") -> UsageError:
    """Make the error for dimensions that are declared dynamic, and of which a source takes one size alone.

    Args:
        source: the source's name.
        specs: the declared inputs.
        fixed: the size that the source takes of each dimension.
        reason: a sentence that names what fixes the first of them, if that is known.
    """
    name, size = next(iter(fixed.items()))
    spec = next(spec for spec in specs if name in spec.shape)
    return UsageError(
        f"'{source}' takes only {size} for dimension '{name}' of input '{spec.name}', which is declared dynamic "
        f"({spec}).{' ' if reason else ''}{reason} Declare the size with --input '{at_sizes(spec, fixed)}', or let the "
        "model take any."
    )


def at_sizes(spec: TensorSpec, sizes: Mapping[str, int]) -> TensorSpec:
    """Fix dynamic dimensions of an input."""
    return dataclasses.replace(spec, shape=tuple(sizes.get(str(each), each) for each in spec.shape))


def check_kept(model: OnnxModel, specs: Sequence[TensorSpec], source: str, line: Callable[[str], str]) -> None:
    """Check that an export left all dimensions dynamic that are declared so.

    Args:
        model: the export.
        specs: the declared inputs.
        source: the source's name in errors.
        line: finds the line that fixes a dimension; empty if none is found.

    Raises:
        UsageError: a dimension is fixed; says which, to what, and by what.
    """
    exported = {spec.name: spec for spec in model.inputs}
    pairs = [pair for spec in specs for pair in zip(spec.shape, exported.get(spec.name, spec).shape)]
    fixed = {size: found for size, found in pairs if isinstance(size, str) and isinstance(found, int)}
    if fixed:
        where = line(next(iter(fixed)))
        raise fixed_error(source, specs, fixed, f"It is fixed at {where}." if where else "")


def redeclare(model: OnnxModel, corrections: Mapping[str, TensorSpec], out: Path) -> OnnxModel:
    """Write a copy of an ONNX file with other shapes of inputs, and all other shapes inferred anew.

    Raises:
        UsageError: an input is of another type.
    """
    graph = load_ir(model.path)
    for value in graph.graph.inputs:
        spec = corrections.get(str(value.name))
        if spec is not None:
            if value.dtype is not None and value.dtype.numpy().name != spec.dtype:
                raise UsageError(
                    f"'{model.path}': input '{value.name}' is {value.dtype.numpy().name}, not {spec.dtype}."
                )
            value.shape = ir.Shape(spec.shape)
    for node in graph.graph.all_nodes():
        for value in node.outputs:
            value.shape = None  # it was inferred from the wrong declaration
    return save_copy(model, infer_shapes(graph), out)
