"""tensorrt-rtx builds engines on any machine; what it builds is tensorrt-rtx's, and no other TensorRT loads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from runtimes.backends import tensorrt_rtx as backend
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.tensorrt import engine_file
from toolchain.builders import _engine
from toolchain.engines import planner
from toolchain.engines.build_target import BuildTarget
from toolchain.models.onnx_model import OnnxModel
from toolchain.recipes.recipe import Recipe

FLOAT_OPTIONS: Mapping[str, Mapping[str, str]] = {}
TYPED = ()
REFUSED = planner.REFUSED
USES_THREADS = False


def versions() -> Mapping[str, str]:
    """The packages that make the artifact."""
    return {"onnx-ir": _engine.onnx_version(), "tensorrt-rtx": backend.version()}


def build(
    model: OnnxModel, recipe: Recipe, settings: RuntimeSettings, out: Path, destination: BuildTarget | None = None
) -> Artifact:
    """Write `model.engine` into the folder `out`.

    Raises:
        UnsupportedError: the device, or tensorrt-rtx, cannot do what the recipe asks.
        UsageError: a dynamic dimension has no range, or a cached engine is not what it should be.
        BackendError: tensorrt-rtx refuses the model; its own text is passed on.
    """
    plan = _engine.plan_for(model, recipe, destination, "tensorrt-rtx")
    onnx = _engine.typed_model(model, recipe, settings, out)
    environment = engine_file.build_environment(backend.trt, plan.compute_capability)
    built = _engine.engine_for(plan, onnx.read_bytes(), environment)
    onnx.unlink()
    file = out / "model.engine"
    file.write_bytes(built.engine)
    return _engine.artifact(model, recipe, settings, file, plan, versions(), built.layers)


def tunings(threads: int) -> Iterator[Mapping[str, str]]:
    """None are known."""
    return iter(())
