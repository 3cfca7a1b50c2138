"""Shared part of the builders whose artifact is a single ONNX file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes.common import ClearMetadataAndDocStringPass

from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.errors import UnsupportedError
from toolchain.builders import _artifact
from toolchain.models import onnx_model as models
from toolchain.models.onnx_model import OnnxModel, load_ir, weights_bytes
from toolchain.recipes.recipe import Recipe


def write(
    model: OnnxModel,
    recipe: Recipe,
    settings: RuntimeSettings,
    out: Path,
    runtime: str,
    versions: Mapping[str, str],
    adapt: Callable[[ir.Model], None] | None = None,
) -> Artifact:
    """Write `model.onnx` into the folder `out`, including external weights, without the exporter's notes.

    `adapt` changes the graph to what the runtime needs.

    Raises:
        UnsupportedError: one protobuf cannot hold the model.
    """
    graph = _without_notes(load_ir(model.path))
    if adapt is not None:
        adapt(graph)
    total = weights_bytes(graph)
    if total > models.PROTOBUF_LIMIT_BYTES:
        raise UnsupportedError(
            f"The model holds {total / 2**30:.1f} GiB of weights, and one ONNX file holds at most "
            f"{models.PROTOBUF_LIMIT_BYTES / 2**30:.1f}; a smaller precision may fit."
        )
    file = out / "model.onnx"
    ir.save(ir.external_data.load_to_model(graph), file)
    return _artifact.describe(file, model, recipe, settings, runtime, versions)


def _without_notes(model: ir.Model) -> ir.Model:
    """Remove documentation: PyTorch's exporter records the source line and path of each node, which may be private."""
    ClearMetadataAndDocStringPass()(model)
    for graph in (model.graph, *model.graph.subgraphs()):
        values = [*graph.inputs, *graph.initializers.values(), *(value for node in graph for value in node.outputs)]
        for value in values:
            value.metadata_props.clear()
            value.doc_string = None
    return model
