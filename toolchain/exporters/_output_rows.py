"""A fixed number of rows for outputs whose sizes depend on the data, as a detector's boxes do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir

from runtimes.errors import UsageError
from toolchain.graphs.edits import Edits
from toolchain.models.data_dependent import data_dependent_outputs
from toolchain.models.onnx_model import OnnxModel, load_ir, save_copy

_OPSET = 11  # the first in which Pad takes its amounts as an input


def fix_rows(model: OnnxModel, rows: int | None, source: str, out: Path) -> OnnxModel:
    """Cut or pad the outputs whose sizes depend on the data to a number of rows, in a copy of the model's file.

    What is missing is filled with zeros, so that a detector's padding has the score 0.

    Args:
        model: the model.
        rows: the size of the axis that depends on the data; None leaves the model as it is.
        source: the source's name in errors.
        out: the file to write; the model's own, if that is one of ours.

    Raises:
        UsageError: no output's size depends on the data, an output has several such sizes or declares no shape, or the
            model's opset is too old.
    """
    if rows is None:
        return model
    graph = load_ir(model.path)
    found = data_dependent_outputs(graph)
    if not found:
        raise UsageError(
            f"--output-rows {rows}: no output of '{source}' has a size that depends on the data; leave it out."
        )
    if graph.graph.opset_imports.get("", 1) < _OPSET:
        raise UsageError(
            f"--output-rows needs opset {_OPSET} or newer, and '{source}' has {model.opset}; export it anew."
        )
    edits = Edits(graph.graph)
    known = {dim for spec in model.inputs for dim in spec.shape}
    outputs = list(graph.graph.outputs)
    for index, value in enumerate(outputs):
        if str(value.name) in found:
            outputs[index] = _fixed(edits, value, _axis(value, known, source), rows)
    graph.graph.outputs[:] = outputs
    return save_copy(model, graph, out)


def _axis(output: ir.Value, known: set[int | str], source: str) -> int:
    """Find the axis whose size depends on the data."""
    if output.shape is None:
        raise UsageError(
            f"--output-rows: output '{output.name}' of '{source}' declares no shape, so its rows are not known; "
            "declare it in the file."
        )
    axes = [axis for axis, dim in enumerate(output.shape) if isinstance(dim, ir.SymbolicDim) and dim.value not in known]
    if len(axes) != 1:
        raise UsageError(
            f"--output-rows: {len(axes)} sizes of the output '{output.name}' of '{source}' depend on the data, and one "
            "can be fixed; cut the model before."
        )
    return axes[0]


def _fixed(edits: Edits, output: ir.Value, axis: int, rows: int) -> ir.Value:
    """Cut or pad an output along an axis; the new value has its name."""
    assert output.shape is not None
    name, shape, rank = str(output.name), list(output.shape), len(output.shape)

    def integers(hint: str, *numbers: int) -> ir.Value:
        return edits.constant(f"{name}.{hint}", np.array(numbers, np.int64))

    output.name = edits.fresh(f"{name}.all")
    wanted, along = integers("rows", rows), integers("axis", axis)
    cut = edits.append("Slice", output, integers("first", 0), wanted, along)
    there = edits.append("Slice", edits.append("Shape", cut), along, integers("next", axis + 1))
    before, after = integers("before", *[0] * (rank + axis)), integers("after", *[0] * (rank - axis - 1))
    amounts = edits.append("Concat", before, edits.append("Sub", wanted, there), after, axis=0)
    padded = edits.append("Pad", cut, amounts)
    padded.name, padded.type = name, output.type
    padded.shape = ir.Shape([rows if index == axis else dim for index, dim in enumerate(shape)])
    return padded
