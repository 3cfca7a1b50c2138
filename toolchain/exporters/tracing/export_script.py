"""Export of TorchScript, scripted or traced, and the check of its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec
from toolchain.exporters._output_names import keep_outputs
from toolchain.exporters._quiet import quiet
from toolchain.exporters._root_cause import root_cause
from toolchain.exporters.checks.declared_inputs import check_kept, fixed_error
from toolchain.exporters.checks.output_shapes import correct_outputs
from toolchain.exporters.checks.parity import check_parity
from toolchain.exporters.tracing.failures import explain
from toolchain.exporters.tracing.half_modules import computable, tolerance_of
from toolchain.exporters.tracing.wiring import Wired, by_signature, computed, signature
from toolchain.models.onnx_model import OnnxModel, load_ir, save_ir

_OPSET = 17  # the newest opset of torch's TorchScript exporter


def export_script(
    module: torch.jit.ScriptModule, inputs: Sequence[TensorSpec], feed: Mapping[str, Array], out: Path, source: str
) -> OnnxModel:
    """Export a scripted or traced module, and compare as `export_and_check` does.

    Args:
        module: the module, in eval mode.
        inputs: the declared inputs, which are wired to the parameters of `forward`.
        feed: example arrays by input.
        out: the file to write.
        source: the source's name in errors.

    Raises:
        UsageError: as in `export_and_check`; a dimension that is declared dynamic counts as fixed where the module
            takes no other size.
    """
    tolerance = tolerance_of(module)
    wired = computable(Wired(module, by_signature(module, inputs, source)), feed)
    names = list(computed(wired, feed, source))  # the exporter runs it too, but its error says less
    dynamic = {spec.name: {i: size for i, size in enumerate(spec.shape) if isinstance(size, str)} for spec in inputs}
    arguments, order = _positional(wired, feed)
    with quiet():
        try:
            torch.onnx.export(
                wired.module,  # itself, since a module around it cannot be traced
                arguments,
                str(out),
                dynamo=False,
                input_names=order,
                dynamic_axes=dynamic,
                opset_version=_OPSET,
            )
        except OSError:  # a full disk, since a script reads no files
            raise
        except Exception as error:  # unsupported operators, shapes, control flow
            raise UsageError(explain(error, source)) from error
    graph = load_ir(out)
    _set_defaults(graph.graph, list(dynamic), module)
    kept = keep_outputs(graph, names)
    model = save_ir(graph, out)
    check_kept(model, inputs, source, lambda name: "")
    runs = check_parity(
        model,
        lambda arrays: [array for name, array in wired.compute(arrays).items() if name in kept],
        inputs,
        feed,
        source,
        tolerance=tolerance,
    )
    if runs.fixed:
        reason = f"It says of another size: {root_cause(next(iter(runs.fixed.values())))}."
        raise fixed_error(source, inputs, {name: runs.seen[0][0][name] for name in runs.fixed}, reason)
    return correct_outputs(model, runs.seen, out)


def _positional(wired: Wired, feed: Mapping[str, Array]) -> tuple[tuple[Any, ...], list[str]]:
    """Write the arguments by position, as the exporter wants them, and the inputs in the order of these."""
    tensors = {name: torch.from_numpy(array) for name, array in feed.items()}
    arguments, keywords = wired.place(list(tensors.values()))
    parameters = list(signature(wired.module).parameters.values())
    if not keywords:
        return (*arguments, *(each.default for each in parameters[len(arguments) :])), list(feed)
    given = tuple(keywords.get(each.name, each.default) for each in parameters)
    return given, [each.name for each in parameters if each.name in keywords]


def _set_defaults(graph: ir.Graph, inputs: Sequence[str], module: torch.jit.ScriptModule) -> None:
    """Make constants of the numbers that parameters have by default, which the exporter takes for inputs (`c.1`)."""
    defaults = {name: parameter.default for name, parameter in signature(module).parameters.items()}
    for value in [value for value in graph.inputs if value.name not in inputs]:
        default = defaults.get(str(value.name).partition(".")[0])
        if isinstance(default, (bool, int, float)) and value.dtype is not None:
            graph.inputs.remove(value)
            value.const_value = ir.tensor(np.array(default, value.dtype.numpy()), name=value.name)
            graph.register_initializer(value)
