"""What is run here in the place of an engine that cannot run here: the same typed graph, on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

from runtimes import plugins
from runtimes.artifact import Artifact
from runtimes.errors import NotInstalledError, UnsupportedError
from toolchain.builders import onnxruntime
from toolchain.model import OnnxModel
from toolchain.recipe import Recipe


def runnable(artifact: Artifact, model: OnnxModel, recipe: Recipe, folder: Path) -> Artifact:
    """The artifact itself, or where it is for another machine's GPU, its graph as an ONNX Runtime artifact.

    What that computes is the graph's own arithmetic; the engine's kernels may round otherwise.

    Args:
        artifact: what was built.
        model: the variant it was built from.
        recipe: how the variant was made.
        folder: where the stand-in goes.
    """
    if artifact.plan is None or _runs_here(artifact):
        return artifact
    folder.mkdir()
    return onnxruntime.build(model, recipe, artifact.settings, folder)


def _runs_here(artifact: Artifact) -> bool:
    assert artifact.plan is not None
    if artifact.is_compiled_on_device:
        return False
    try:
        backend = plugins.load("runtimes.backends", artifact.runtime, "runtime")
        found: str = backend.open_memory().compute_capability
    except (NotInstalledError, UnsupportedError):
        return False
    return found == artifact.plan.compute_capability
