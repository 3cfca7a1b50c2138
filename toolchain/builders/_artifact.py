"""Description of a file that a builder wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runtimes.bundles.manifest import Artifact, RuntimeSettings
from toolchain.models.onnx_model import OnnxModel
from toolchain.recipes.recipe import Recipe


def describe(
    file: Path, model: OnnxModel, recipe: Recipe, settings: RuntimeSettings, runtime: str, versions: Mapping[str, str]
) -> Artifact:
    """Describe a file that was built from a model.

    Args:
        file: the file.
        model: the variant that it was built from.
        recipe: the variant's recipe.
        settings: the runtime's settings.
        runtime: the runtime that loads it.
        versions: the packages that made it, with their versions.
    """
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
