"""The model as one ONNX file, which is what several runtimes load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir

from runtimes.artifact import Artifact, RuntimeSettings
from runtimes.errors import UnsupportedError
from toolchain import model as models
from toolchain.model import OnnxModel, load_ir, weights_bytes
from toolchain.recipe import Recipe


def write(
    model: OnnxModel, recipe: Recipe, settings: RuntimeSettings, out: Path, runtime: str, versions: Mapping[str, str]
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
        runtime=runtime,
        precision=recipe.precision,
        inputs=model.inputs,
        outputs=model.outputs,
        settings=settings,
        source_sha256=model.source_sha256 or model.sha256,
        size_bytes=file.stat().st_size,
        tool_versions=versions,
    )
