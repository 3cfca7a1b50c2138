"""Export of a torch.nn.Module with torch.export, and the check of its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec
from toolchain.exporters._output_names import keep_outputs
from toolchain.exporters._quiet import quiet
from toolchain.exporters.checks.declared_inputs import check_kept
from toolchain.exporters.checks.output_shapes import correct_outputs
from toolchain.exporters.checks.parity import check_parity
from toolchain.exporters.tracing.failures import explain
from toolchain.exporters.tracing.guards import line_that_depends_on, sizes_of_interest
from toolchain.exporters.tracing.half_modules import computable, tolerance_of
from toolchain.exporters.tracing.recurrent import recurrent_shapes
from toolchain.exporters.tracing.wiring import Wired, computed
from toolchain.models.onnx_model import OnnxModel, open_model


def export_and_check(
    wired: Wired, inputs: Sequence[TensorSpec], feed: Mapping[str, Array], out: Path, source: str
) -> OnnxModel:
    """Export a module and compare ONNX Runtime's outputs with its own, at several sizes of each dynamic dimension.

    Args:
        wired: the module, in the mode in which it is used.
        inputs: the declared inputs.
        feed: example arrays by input.
        out: the file to write.
        source: the source's name in errors.

    Raises:
        UsageError: the module fails on the example, it cannot be exported, a dimension that is declared dynamic came
            out fixed, or the ONNX form computes something else.
    """
    tolerance = tolerance_of(wired.module)
    wired = computable(wired, feed)
    names = list(computed(wired, feed, source))
    program = _program(wired, inputs, feed, source)

    def line(name: str) -> str:
        return line_that_depends_on(wired, _tensors(feed), inputs, name)

    kept = keep_outputs(program.model, names)
    program.save(str(out))
    model = open_model(out)
    check_kept(model, inputs, source, line)
    runs = check_parity(
        model,
        lambda arrays: [array for name, array in wired.compute(arrays).items() if name in kept],
        inputs,
        feed,
        source,
        tolerance=tolerance,
        further=sizes_of_interest(wired, _tensors(feed), inputs),
        line=line,
    )
    return correct_outputs(model, runs.seen, out)


def _program(wired: Wired, inputs: Sequence[TensorSpec], feed: Mapping[str, Array], source: str) -> Any:
    dims = {size: torch.export.Dim(size) for spec in inputs for size in spec.shape if isinstance(size, str)}
    shapes = tuple({axis: dims[size] for axis, size in enumerate(spec.shape) if size in dims} for spec in inputs)
    with quiet(), recurrent_shapes():
        try:
            program = torch.onnx.export(
                wired,
                _tensors(feed),
                dynamo=True,
                dynamic_shapes=(shapes,),
                input_names=[spec.name for spec in inputs],
                verbose=False,
            )
        except Exception as error:  # torch.export's failures have no common base
            raise UsageError(explain(error, source)) from error
    assert program is not None
    for value in list(program.model.graph.initializers.values()):
        name = str(value.name).removeprefix("module.")  # the user's own name
        value.name = value.name if name in program.model.graph.initializers else name
    return program


def _tensors(feed: Mapping[str, Array]) -> tuple[torch.Tensor, ...]:
    return tuple(map(torch.from_numpy, feed.values()))
