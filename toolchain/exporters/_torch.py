"""Shared part of the PyTorch exporters: the export, and the check of its result."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort
import torch
from onnx_ir.passes.common import NameFixPass
from torch.utils import _pytree as pytree

from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec
from runtimes.verification.golden import slice_error
from toolchain.exporters._examples import at_other_sizes, example_feed
from toolchain.models.onnx_model import OnnxModel, open_model

_TOLERANCE = 1e-3  # for float32 on different kernels; EfficientNet-lite0 shows 1e-6


def example_tensors(
    inputs: Sequence[TensorSpec], samples: Mapping[str, Array] | None = None
) -> tuple[torch.Tensor, ...]:
    """Make one argument per input, from real samples if they fit."""
    return tuple(torch.from_numpy(array) for array in example_feed(inputs, samples).values())


def dynamic_shapes(inputs: Sequence[TensorSpec]) -> tuple[dict[int, torch.export.Dim], ...]:
    """Describe named dimensions for torch.export; equal names are one dimension."""
    names = {size for spec in inputs for size in spec.shape if isinstance(size, str)}
    dims = {name: torch.export.Dim(name) for name in sorted(names)}
    return tuple({axis: dims[size] for axis, size in enumerate(spec.shape) if isinstance(size, str)} for spec in inputs)


def export_and_check(
    program: Any, call: Any, arguments: tuple[torch.Tensor, ...], inputs: Sequence[TensorSpec], out: Path, source: str
) -> OnnxModel:
    """Export with torch.onnx and compare ONNX Runtime's outputs with PyTorch's.

    Args:
        program: an nn.Module or an ExportedProgram.
        call: computes the source's outputs from the arguments.
        arguments: example arguments.
        inputs: names and dynamic dimensions; may be empty for a program, which has its own.
        out: the file to write.
        source: the source's name in errors.

    Raises:
        UsageError: the model cannot be exported, or its ONNX form computes something else.
    """
    names = [spec.name for spec in inputs] or None
    shapes = dynamic_shapes(inputs) if isinstance(program, torch.nn.Module) else None
    with quiet():
        try:
            exported = torch.onnx.export(
                program, arguments, dynamo=True, dynamic_shapes=shapes, input_names=names, verbose=False
            )
        except Exception as error:  # torch.export's failures have no common base
            raise UsageError(f"'{source}' cannot be exported to ONNX: {root_cause(error)}") from error
        assert exported is not None
        NameFixPass()(exported.model)  # an input may have the name of a node's output or of a weight
        exported.save(str(out))
    model = open_model(out)
    check_parity(model, call, arguments, inputs or model.inputs, source)
    return model


def check_parity(
    model: OnnxModel, call: Any, arguments: tuple[Any, ...], inputs: Sequence[TensorSpec], source: str
) -> None:
    """Compare an exported model with its source on the same arguments, and again on arguments of other sizes.

    Args:
        model: the export; it may lack inputs that the source does not use.
        call: computes the source's outputs.
        arguments: the arguments of `call`.
        inputs: names and shapes of the tensors among the arguments, in order.
        source: the source's name in errors.

    Raises:
        UsageError: one of the two fails, or an output differs by more than float32 arithmetic explains.
    """
    leaves, structure = pytree.tree_flatten(arguments)
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    declared = {**{spec.name: spec for spec in inputs}, **{spec.name: spec for spec in model.inputs}}
    if not len(tensors) == len(inputs) == len(declared):
        raise UsageError(
            f"'{source}' takes {len(tensors)} inputs, and {_listed(inputs)} are described; its ONNX export takes "
            f"{_listed(model.inputs)}. Describe each with an --input, in order."
        )
    feed = {spec.name: tensor.detach().numpy() for spec, tensor in zip(inputs, tensors)}
    expected = outputs_of(call, arguments, source)
    session = _session(model, source)
    _compare(session, model, feed, expected, f"The ONNX export of '{source}'")

    others = at_other_sizes(list(declared.values()), feed)
    if all(others[name].shape == array.shape for name, array in feed.items()):
        return
    replaced = iter([torch.from_numpy(array) for array in others.values()])
    leaves = [next(replaced) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
    try:
        expected = outputs_of(call, pytree.tree_unflatten(leaves, structure), source)
    except UsageError:  # the source itself rejects these sizes, so there is no reference
        return
    shapes = " and ".join(f"{name} {list(array.shape)}" for name, array in others.items())
    _compare(session, model, others, expected, f"Given {shapes}, the ONNX export of '{source}'")


def outputs_of(call: Any, arguments: tuple[Any, ...], source: str) -> list[Array]:
    """Call a source and return the tensors among its outputs, in order.

    Raises:
        UsageError: the call fails.
    """
    try:
        with torch.no_grad(), quiet():
            leaves = pytree.tree_leaves(call(*copy.deepcopy(arguments)))  # the model may write into its arguments
            # A scripted module's outputs may require gradients in spite of no_grad.
            return [leaf.detach().numpy() for leaf in leaves if isinstance(leaf, torch.Tensor)]
    except Exception as error:  # the user's code may raise any exception
        raise UsageError(
            f"'{source}' fails on inputs of the declared shapes: {root_cause(error)}. These inputs are the first "
            "calibration or evaluation sample, or random numbers if none fits; give valid samples with --calibration "
            "FILE.npz."
        ) from error


def _session(model: OnnxModel, source: str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4  # errors reach us as exceptions
    try:
        return ort.InferenceSession(model.path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
        raise UsageError(f"ONNX Runtime cannot run the ONNX export of '{source}': {root_cause(error)}") from error


def _compare(
    session: ort.InferenceSession, model: OnnxModel, feed: Mapping[str, Array], expected: Sequence[Array], subject: str
) -> None:
    kept = {spec.name: feed[spec.name] for spec in model.inputs}
    try:
        computed = session.run(None, kept)
    except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
        rejected = ", ".join(sorted(set(feed) - set(kept)))
        because = f" (the exporter dropped {rejected}, which it took for unused)" if rejected else ""
        raise UsageError(f"{subject} fails in ONNX Runtime: {root_cause(error)}{because}") from error
    if len(computed) != len(expected):
        raise UsageError(f"{subject} has {len(computed)} outputs, but the source returns {len(expected)} tensors.")
    for spec, actual, wanted in zip(model.outputs, computed, expected):
        difference = slice_error(actual, wanted)
        if not difference <= _TOLERANCE:
            raise UsageError(
                f"{subject} computes something else: output '{spec.name}' differs by "
                f"{difference:.1e} (tolerance {_TOLERANCE:.0e}). Is the model in eval mode, and free of randomness?"
            )


def _listed(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(spec.name for spec in specs) or "none"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress the exporter's output; its failures arrive as exceptions."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # torch logs tracebacks and prints graphs
    output = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def root_cause(error: BaseException) -> str:
    """Describe the innermost exception in one line, since torch.onnx wraps a model's error several times."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    line = lines[-1 if "TorchScript interpreter" in lines[0] else 0]  # its reason comes last, after a traceback
    return f"{type(error).__name__}: {line[:300]}"
