"""Builder of ONNX Runtime, which loads ONNX, so that its artifact is the model in one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx
import onnxruntime as ort

from runtimes.bundles.manifest import Artifact, RuntimeSettings
from toolchain.builders import _onnx_file
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
    return {"onnx": str(onnx.__version__), "onnxruntime": str(ort.__version__)}


def build(
    model: OnnxModel, recipe: Recipe, settings: RuntimeSettings, out: Path, target: BuildTarget | None = None
) -> Artifact:
    """Write `model.onnx` into the folder `out`.

    Raises:
        UnsupportedError: one protobuf cannot hold the model.
    """
    return _onnx_file.write(model, recipe, settings, out, "onnxruntime", versions())


def tunings(threads: int) -> Iterator[Mapping[str, str]]:
    """Yield sets of options that make some models faster."""
    # "extended" omits the NCHWc layout, whose reorders can cost more time than it saves.
    yield {"graph_optimization": "extended"}
    yield {"qdq_cleanup": "1"}
    if threads > 1:
        yield {"spinning": "0"}  # spinning threads slow down other work on the same cores
