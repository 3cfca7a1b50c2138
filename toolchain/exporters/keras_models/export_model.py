"""Export of a Keras model in inference mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runtimes.errors import UsageError
from runtimes.sample_arrays import Rows
from runtimes.tensors import TensorSpec
from toolchain.exporters._examples import example_feed
from toolchain.exporters.keras_models.exportable import exportable
from toolchain.exporters.keras_models.package import import_keras
from toolchain.exporters.keras_models.signature import Called, Described, declared_inputs, own_inputs
from toolchain.exporters.tracing.aliases import PrimaryNames
from toolchain.exporters.tracing.export_module import export_and_check
from toolchain.exporters.tracing.wiring import Wired, by_signature
from toolchain.models.onnx_model import OnnxModel


def export_model(
    model: Any, source: str, inputs: Sequence[TensorSpec], out: Path, samples: Mapping[str, Rows] | None = None
) -> OnnxModel:
    """Export a model, and check the result against it.

    Args:
        model: a keras.Model.
        source: its name in errors.
        inputs: specs that replace the model's own names, dtypes and open sizes; may be empty.
        out: the file to write.
        samples: real samples to export and check with; random ones for inputs without.

    Raises:
        UsageError: the model keeps a state between calls, does not describe its inputs where `inputs` is empty, or
            cannot be exported.
    """
    keras = import_keras()
    stateful = [part.name for part in model._flatten_layers() if getattr(part, "stateful", False)]
    if stateful:
        raise UsageError(
            f"Layer '{stateful[0]}' of '{source}' keeps its state between calls, which an export loses; build it with "
            "stateful=False, or make the state an input and an output."
        )
    own = own_inputs(model)
    if not own and not inputs:
        raise UsageError(
            f"'{source}' does not say what it takes; describe it, as in --input image=float32[N,28,28,1], or build the "
            "model from keras.Input."
        )
    specs = declared_inputs(own, inputs, source) if own else tuple(inputs)
    feed = example_feed(specs, samples)
    with keras.device("cpu"), exportable(), PrimaryNames():
        if own:
            wired = Wired(Described(keras, model.cpu()), lambda tensors: (tensors, {}))
        else:
            called = Called(model.cpu())
            wired = Wired(called, by_signature(called, specs, source))
        return export_and_check(wired.eval(), specs, feed, out, source)
