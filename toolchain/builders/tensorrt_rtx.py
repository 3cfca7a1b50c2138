"""Builder of tensorrt-rtx, which builds engines on any machine; only tensorrt-rtx loads them."""

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
EACH_SHAPE: Mapping[str, str] = {}
FIT_INT8 = _engine.fit_int8


def versions() -> Mapping[str, str]:
    """Name the packages that make the artifact."""
    return {"onnx-ir": _engine.onnx_version(), "tensorrt-rtx": backend.version()}


def build(
    model: OnnxModel, recipe: Recipe, settings: RuntimeSettings, out: Path, target: BuildTarget | None = None
) -> Artifact:
    """Write `model.engine` into the folder `out`.

    Raises:
        UnsupportedError: the device, or tensorrt-rtx, cannot compute the recipe.
        UsageError: a dynamic dimension has no range, or a cached engine is damaged.
        BackendError: tensorrt-rtx refuses the model; the message has its own text.
    """
    plan = _engine.plan_for(model, recipe, target, "tensorrt-rtx")
    onnx = _engine.typed_model(model, recipe, settings, out)
    environment = engine_file.build_environment(backend.trt, plan.compute_capability)
    built = _engine.engine_for(plan, onnx.read_bytes(), environment)
    onnx.unlink()
    file = out / "model.engine"
    file.write_bytes(built.engine)
    return _engine.artifact(model, recipe, settings, file, plan, versions(), built.layers)


def tunings(threads: int) -> Iterator[Mapping[str, str]]:
    """Yield nothing, since no such options are known."""
    return iter(())
