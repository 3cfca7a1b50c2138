"""Builder of TensorRT, which builds an engine only on the GPU that runs it.

If this machine has no such GPU, the bundle carries the model and the plan, and `python -m runtimes compile BUNDLE`
builds the engine on the device.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from runtimes.backends import EngineBackend, engine_backend
from runtimes.bundles.build_plan import BuildPlan
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.errors import NotInstalledError, UnsupportedError
from runtimes.tensorrt import engine_file, engine_layers
from runtimes.tensorrt.build_engine import dialect
from runtimes.tensorrt.cuda._protocol import DeviceMemory
from runtimes.tensorrt.engine_session import EngineSession
from toolchain.builders import _engine
from toolchain.engines import planner, trtexec
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
    """Name the packages that make the artifact, if the device builds the engine."""
    return {"onnx-ir": _engine.onnx_version()}


def build(
    model: OnnxModel, recipe: Recipe, settings: RuntimeSettings, out: Path, target: BuildTarget | None = None
) -> Artifact:
    """Write `model.engine` into the folder `out` if this machine has the device and its TensorRT, else `model.onnx`.

    Raises:
        UnsupportedError: the device cannot compute the recipe, or its Python cannot run our code.
        UsageError: a dynamic dimension has no range, or a cached engine is damaged.
        BackendError: TensorRT refuses the model; the message has its own text.
    """
    plan = _engine.plan_for(model, recipe, target, "tensorrt")
    if plan.dialect == "8":  # JetPack 4 and 5 have Python 3.6 and 3.8
        raise UnsupportedError(
            f"The bindings of TensorRT {plan.version} need a Python older than 3.10, and edgewright needs 3.10 on the "
            f"device; build the engine there with: {trtexec.command(plan)}"
        )
    onnx = _engine.typed_model(model, recipe, settings, out)
    carried = _engine.artifact(model, recipe, settings, onnx, plan, versions())
    here = _here(plan)
    return carried if here is None else _compiled(carried, plan, *here)


def tunings(threads: int) -> Iterator[Mapping[str, str]]:
    """Yield nothing, since no such options are known."""
    return iter(())


def _here(plan: BuildPlan) -> tuple[EngineBackend, DeviceMemory] | None:
    """Open the backend and the GPU, if this machine has both and they match the plan."""
    try:
        backend = engine_backend("tensorrt")
        memory = backend.open_memory()
        fits = dialect(backend.trt) == plan.dialect and memory.compute_capability == plan.compute_capability
    except (NotInstalledError, UnsupportedError):
        return None
    return (backend, memory) if fits else None


def _compiled(carried: Artifact, plan: BuildPlan, backend: EngineBackend, memory: DeviceMemory) -> Artifact:
    environment = engine_file.build_environment(backend.trt, memory.compute_capability, memory.cuda, memory.name)
    built = _engine.engine_for(plan, carried.file.read_bytes(), environment)
    file = carried.file.with_name("model.engine")
    carried.file.unlink()
    file.write_bytes(built.engine)
    made = dataclasses.replace(
        carried,
        file=file,
        size_bytes=file.stat().st_size,
        tool_versions={**carried.tool_versions, "tensorrt": backend.version(), "cuda": memory.cuda},
    )
    with EngineSession(made, backend.trt, built.engine, memory) as session:
        return dataclasses.replace(made, layers=engine_layers.from_engine(backend.trt, session.engine))
