"""OpenVINO reads ONNX itself, so its artifact is the model in one file, once it has shown that it can.

Its own format (IR) is two files and saves little: most of the time that a model takes to load, it is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx

from runtimes.backends import openvino
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from toolchain.builders import _onnx_file
from toolchain.engines.build_target import BuildTarget
from toolchain.models.onnx_model import OnnxModel
from toolchain.recipes.recipe import Recipe

FLOAT_OPTIONS = {"bf16": {"inference_precision": "bf16"}, "fp16": {"inference_precision": "f16"}}

# Told f32, the CPU plug-in still computes in bf16 what the graph says is bf16 (2026.4), and turns fp16 into float32.
TYPED = ("bf16",)
REFUSED: Mapping[str, str] = {}
USES_THREADS = True


def versions() -> Mapping[str, str]:
    """The packages that make the artifact."""
    return {"onnx": str(onnx.__version__), "openvino": openvino.version()}


def build(
    model: OnnxModel, recipe: Recipe, settings: RuntimeSettings, out: Path, destination: BuildTarget | None = None
) -> Artifact:
    """Write `model.onnx` into the folder `out`.

    Raises:
        UnsupportedError: one protobuf cannot hold the model.
        BackendError: OpenVINO cannot convert it; says which operators.
    """
    artifact = _onnx_file.write(model, recipe, settings, out, "openvino", versions())
    openvino.read(artifact.file.read_bytes(), artifact.file.name)
    return artifact


def tunings(threads: int) -> Iterator[Mapping[str, str]]:
    """Options that make some models faster."""
    if threads > 1:
        yield {"cpu_pinning": "0"}
