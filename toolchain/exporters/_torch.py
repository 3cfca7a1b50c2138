"""What the PyTorch exporters share: the export itself, and the check of its result."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch

from runtimes.errors import UsageError
from runtimes.golden import relative_error
from runtimes.tensors import TensorSpec
from toolchain.inputs import example_samples
from toolchain.model import OnnxModel, open_model

_TOLERANCE = 1e-3  # float32 against float32, other kernels: EfficientNet-lite0 shows 1e-6


def example_tensors(inputs: Sequence[TensorSpec]) -> tuple[torch.Tensor, ...]:
    """One random argument per input. Batches are 2: torch.export takes a size of 1 for a constant."""
    arrays = example_samples(inputs, 2)
    dynamic = [bool(spec.shape) and isinstance(spec.shape[0], str) for spec in inputs]
    chosen = (array if batched else array[0] for array, batched in zip(arrays.values(), dynamic))
    return tuple(torch.from_numpy(np.asarray(array)) for array in chosen)


def dynamic_shapes(inputs: Sequence[TensorSpec]) -> tuple[dict[int, torch.export.Dim], ...]:
    """torch.export's description of the dimensions that specs name; equal names are one dimension."""
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
        inputs: names and dynamic dimensions; empty for a program that has them already.
        out: the file to write.
        source: what errors call it.

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
        exported.save(str(out))
    model = open_model(out)
    check_parity(model, call, arguments, source)
    return model


def check_parity(model: OnnxModel, call: Any, arguments: tuple[torch.Tensor, ...], source: str) -> None:
    """Compare an exported model with its source on the same arguments.

    Raises:
        UsageError: one of the two fails, or an output differs by more than float32 arithmetic explains.
    """
    try:
        with torch.no_grad(), quiet():
            expected = flatten(call(*arguments))
    except Exception as error:  # the user's own code, called with what the user says are its inputs
        raise UsageError(f"'{source}' fails on random inputs of the declared shapes: {root_cause(error)}") from error
    feeds = {spec.name: argument.numpy() for spec, argument in zip(model.inputs, arguments)}
    options = ort.SessionOptions()
    options.log_severity_level = 4  # errors reach us as exceptions
    try:
        session = ort.InferenceSession(model.path, options, providers=["CPUExecutionProvider"])
        computed = session.run(None, feeds)
    except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
        raise UsageError(f"ONNX Runtime cannot run the ONNX export of '{source}': {root_cause(error)}") from error
    for spec, actual, wanted in zip(model.outputs, computed, expected):
        difference = relative_error(actual, wanted.numpy())
        if not difference <= _TOLERANCE:
            raise UsageError(
                f"The ONNX export of '{source}' computes something else: output '{spec.name}' differs by "
                f"{difference:.1e} (tolerance {_TOLERANCE:.0e}). Is the model in eval mode, and free of randomness?"
            )


def flatten(outputs: Any) -> list[torch.Tensor]:
    """The tensors of a model's outputs, in order."""
    leaves, _ = torch.utils._pytree.tree_flatten(outputs)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporter's own chatter off the terminal; its failures reach us as exceptions."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # torch logs the tracebacks of what it raises, and prints the graph it was in
    chatter = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(chatter), contextlib.redirect_stderr(chatter):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def root_cause(error: BaseException) -> str:
    """The innermost exception, in one line: torch.onnx wraps a model's own error several times."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300] if lines else 'no message'}"
