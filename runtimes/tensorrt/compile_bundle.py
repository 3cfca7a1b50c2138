"""Compilation of a bundle on the device (`python -m runtimes compile`): build its engine, check it, and write it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtimes.backends import engine_backend
from runtimes.bundles.build_plan import BuildPlan
from runtimes.bundles.bundle import Bundle
from runtimes.codec import encode
from runtimes.errors import UnsupportedError, UsageError
from runtimes.tensorrt import bundle_engine, engine_file, engine_layers
from runtimes.tensorrt.build_engine import Built, build, check_dialect
from runtimes.tensorrt.build_progress import OnProgress
from runtimes.tensorrt.cuda._protocol import DeviceMemory
from runtimes.tensorrt.engine_file import EngineKey
from runtimes.tensorrt.engine_session import EngineSession
from runtimes.verification.golden import GoldenResult, compare


@dataclass(frozen=True)
class Compiled:
    """The result of `compile_bundle`.

    Attributes:
        file: the engine's path; the engine was written if every golden result passed.
        notes: facts that are written with it: the environment and seconds of the build, layers, TensorRT's warnings.
        golden: the comparison of each output with the golden samples; empty if an earlier call built the engine.
        was_built_before: whether an earlier call built the engine.
    """

    file: Path
    notes: Mapping[str, Any]
    golden: tuple[GoldenResult, ...] = ()
    was_built_before: bool = False


def compile_bundle(bundle: Bundle, on_progress: OnProgress | None = None) -> Compiled:
    """Build the engine of a bundle that holds a model and a plan, and write it beside the bundle.

    Raises:
        UsageError: the bundle holds no plan, or an engine already; or an engine of another build lies beside it.
        NotInstalledError: TensorRT, or a binding of CUDA, is not installed.
        UnsupportedError: there is no GPU, or the plan is for another GPU or another TensorRT.
        BackendError: TensorRT cannot build or load the engine; its own text is passed on.
        KeyboardInterrupt: Ctrl-C; nothing was written.
    """
    bundle.check()
    artifact = bundle.manifest.artifact
    if artifact.plan is None or not artifact.is_compiled_on_device:
        raise UsageError(f"'{bundle.path}' holds nothing to compile; run it as it is.")
    backend = engine_backend(artifact.runtime)
    check_dialect(backend.trt, artifact.plan)
    memory = backend.open_memory(artifact.settings.options.get("memory"))
    _check_chip(artifact.plan, memory)
    file, key = bundle_engine.path_of(bundle.path), bundle_engine.key_of(bundle, backend.trt, memory)
    known = engine_file.read(file, key)
    if known is not None:
        return Compiled(file, known[1], was_built_before=True)
    start_ns = time.perf_counter_ns()
    built = build_with_known_timings(
        backend.trt, artifact.plan, bundle.read(artifact.file.as_posix()), key, on_progress
    )
    seconds = (time.perf_counter_ns() - start_ns) / 1e9
    with EngineSession(artifact, backend.trt, built.engine, memory) as session:
        golden = compare(bundle, session)
        listed = engine_layers.from_engine(backend.trt, session.engine)
    notes = {
        "environment": encode(key.environment),
        "seconds": seconds,
        "warnings": list(built.warnings),
        "layers": encode(listed),
    }
    if all(result.passed for result in golden):
        engine_file.write(file, key, built.engine, notes)
    return Compiled(file, notes, golden)


def build_with_known_timings(
    trt: Any, plan: BuildPlan, onnx: bytes, key: EngineKey, on_progress: OnProgress | None
) -> Built:
    """Build an engine in this process, with the kernel times of earlier builds in the same environment.

    The times are read from the user's cache and written back to it. For arguments and exceptions see `build`; `key`
    holds the environment.
    """
    timings_key = dataclasses.replace(key, plan=None, model_sha256=None)
    # No warning is given of a damaged entry: it costs only time, and this may be a child process.
    cache = engine_file.open_cache()
    built = build(trt, plan, onnx, on_progress, cache.get(timings_key) if plan.timing_cache else None)
    if built.timing_cache is not None:
        cache.put(timings_key, built.timing_cache)
        cache.trim()
    return built


def _check_chip(plan: BuildPlan, memory: DeviceMemory) -> None:
    if memory.compute_capability != plan.compute_capability:
        raise UnsupportedError(
            f"The plan is for {plan.device}, compute capability {plan.compute_capability}, but this GPU is "
            f"{memory.name}, {memory.compute_capability}; build for its profile."
        )
