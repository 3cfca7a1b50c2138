"""ONNX Runtime loads ONNX, so its artifact is the model in one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
import onnx_ir as ir
import onnxruntime as ort

from runtimes.artifact import Artifact, RuntimeSettings
from runtimes.errors import UnsupportedError
from toolchain import model as models
from toolchain.destination import Destination
from toolchain.model import OnnxModel, load_ir, weights_bytes
from toolchain.recipe import Recipe


def versions() -> Mapping[str, str]:
    """The packages that make the artifact."""
    return {"onnx": str(onnx.__version__), "onnxruntime": str(ort.__version__)}


def build(
    model: OnnxModel, recipe: Recipe, settings: RuntimeSettings, out: Path, destination: Destination | None = None
) -> Artifact:
    """Write `model.onnx` into the folder `out`, with weights kept in other files drawn in.

    Raises:
        UnsupportedError: one protobuf cannot hold the model.
    """
    graph = load_ir(model.path)
    total = weights_bytes(graph)
    if total > models.PROTOBUF_LIMIT_BYTES:
        raise UnsupportedError(
            f"The model holds {total / 2**30:.1f} GiB of weights, and one ONNX file holds at most "
            f"{models.PROTOBUF_LIMIT_BYTES / 2**30:.1f}; a smaller precision may fit."
        )
    file = out / "model.onnx"
    ir.save(ir.external_data.load_to_model(graph), file)
    return Artifact(
        file=file,
        runtime="onnxruntime",
        precision=recipe.precision,
        inputs=model.inputs,
        outputs=model.outputs,
        settings=settings,
        source_sha256=model.source_sha256 or model.sha256,
        size_bytes=file.stat().st_size,
        tool_versions=versions(),
    )
