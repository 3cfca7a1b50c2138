"""Builder of the null runtime, which loads nothing, so that its artifact is an empty file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from runtimes.backends import null
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from toolchain.builders import _artifact
from toolchain.engines.build_target import BuildTarget
from toolchain.models.onnx_model import OnnxModel
from toolchain.recipes.recipe import Recipe

FLOAT_OPTIONS: Mapping[str, Mapping[str, str]] = {}
TYPED = ()
REFUSED: Mapping[str, str] = {}
USES_THREADS = True
EACH_SHAPE: Mapping[str, str] = {}
FIT_INT8 = None


def versions() -> Mapping[str, str]:
    """Name the packages that make the artifact."""
    return {"null": null.version()}


def build(
    model: OnnxModel, recipe: Recipe, settings: RuntimeSettings, out: Path, target: BuildTarget | None = None
) -> Artifact:
    """Write an empty file into the folder `out`."""
    file = out / "model.null"
    file.touch()
    return _artifact.describe(file, model, recipe, settings, "null", versions())


def tunings(threads: int) -> Iterator[Mapping[str, str]]:
    """Yield nothing, since no such options are known."""
    return iter(())
