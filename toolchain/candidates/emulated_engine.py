"""What is run here in the place of an engine that cannot run here: the same typed graph, on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

from runtimes.backends import engine_backend
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.errors import NotInstalledError, UnsupportedError
from toolchain.builders import onnxruntime
from toolchain.models.onnx_model import OnnxModel
from toolchain.recipes.recipe import Recipe


def obstacle(artifact: Artifact) -> str | None:
    """Why an artifact cannot run here: it is for another machine's GPU, or its package is missing; None if it can."""
    if artifact.plan is None:
        return None
    try:
        backend = engine_backend(artifact.runtime)
        memory = backend.open_memory()
    except (NotInstalledError, UnsupportedError) as error:
        return str(error)
    if memory.compute_capability != artifact.plan.compute_capability:
        return (
            f"The engine is for compute capability {artifact.plan.compute_capability}, and this GPU is {memory.name}, "
            f"{memory.compute_capability}."
        )
    if artifact.is_compiled_on_device:
        return f"The plan is for {artifact.runtime} {artifact.plan.version}, and {backend.version()} is installed here."
    return None


def stand_in(artifact: Artifact, model: OnnxModel, recipe: Recipe, folder: Path) -> Artifact:
    """An engine's graph as an ONNX Runtime artifact.

    What that computes is the graph's own arithmetic; the engine's kernels may round otherwise.

    Args:
        artifact: the engine.
        model: the variant it was built from.
        recipe: how the variant was made.
        folder: where the stand-in goes.
    """
    folder.mkdir()
    return onnxruntime.build(model, recipe, RuntimeSettings(artifact.settings.threads), folder)
