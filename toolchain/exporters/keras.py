"""Exporter of `.keras`, models saved by Keras 3, which compute in PyTorch here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec
from toolchain.exporters._examples import example_feed
from toolchain.exporters._quiet import quiet, root_cause
from toolchain.exporters.tracing.export_module import export_and_check
from toolchain.exporters.tracing.wiring import Wired, as_list, by_signature
from toolchain.models.onnx_model import OnnxModel

os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras reads it once, when it is imported
import keras


def export(
    source: str, inputs: Sequence[TensorSpec], out: Path, samples: Mapping[str, Array] | None = None
) -> OnnxModel:
    """Export a saved model.

    Args:
        source: the .keras file. Code in it is not run: a lambda is refused by Keras's safe mode.
        inputs: specs that replace the model's names and shapes, in its order; may be empty.
        out: the file to write.
        samples: real samples to export and check with; random ones for inputs without.

    Raises:
        UsageError: Keras does not compute in PyTorch, or the file cannot be read or exported.
    """
    if not Path(source).is_file():
        raise UsageError(f"There is no file '{source}'.")
    if keras.backend.backend() != "torch":
        raise UsageError(
            f"'{source}': Keras computes in {keras.backend.backend()}, and only PyTorch can be exported; set "
            "KERAS_BACKEND=torch."
        )
    try:
        with quiet():
            model: Any = keras.saving.load_model(source, compile=False)
    except Exception as error:  # zipfile, json and Keras raise errors of their own
        raise UsageError(f"'{source}' cannot be read as a Keras model: {root_cause(error)}") from error
    specs = tuple(inputs) or _specs(model)
    if len(specs) != len(model.inputs):
        raise UsageError(f"'{source}' takes {', '.join(map(str, _specs(model)))}; describe each with an --input.")
    place = as_list if len(specs) > 1 else by_signature(model, specs, source)
    return export_and_check(Wired(model.eval().cpu(), place), specs, example_feed(specs, samples), out, source)


def _specs(model: Any) -> tuple[TensorSpec, ...]:
    """Read a model's inputs; sizes that it leaves open are the batch `N`, and dimensions of their own."""
    return tuple(
        TensorSpec(
            tensor.name,
            tensor.dtype,
            tuple(size or ("N" if axis == 0 else f"{tensor.name}_{axis}") for axis, size in enumerate(tensor.shape)),
        )
        for tensor in model.inputs
    )
