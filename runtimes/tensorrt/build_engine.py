"""The build of an engine by its plan, with TensorRT 10, TensorRT 11 or tensorrt-rtx."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from runtimes.bundles.build_plan import BuildPlan, Dialect, EngineLayer
from runtimes.errors import BackendError, UnsupportedError
from runtimes.tensorrt import engine_layers
from runtimes.tensorrt.build_progress import OnProgress, monitor
from runtimes.tensorrt.logger import Messages, listening, logger

_WAIT_S = 0.05  # short enough that Ctrl-C takes effect at once


@dataclass(frozen=True)
class Built:
    """The result of a build.

    Attributes:
        engine: TensorRT's bytes.
        layers: the layers in the builder's log; empty if only the engine's inspector lists them.
        warnings: TensorRT's warnings.
        timing_cache: measured kernel times, for the next build; None if the plan has no timing cache.
    """

    engine: bytes
    layers: tuple[EngineLayer, ...]
    warnings: tuple[str, ...]
    timing_cache: bytes | None = None


def build(
    trt: Any, plan: BuildPlan, onnx: bytes, on_progress: OnProgress | None = None, timing_cache: bytes | None = None
) -> Built:
    """Build one engine.

    Args:
        trt: the module `tensorrt` or `tensorrt_rtx`.
        plan: the settings.
        onnx: the model's file, with weights inside and precisions in the graph.
        on_progress: called with the progress of the build.
        timing_cache: kernel times from an earlier build in the same environment.

    Raises:
        UnsupportedError: this TensorRT has another dialect than the plan, or lacks a flag that the plan names.
        BackendError: TensorRT refuses the model, the settings or the timing cache; its own text is passed on.
        KeyboardInterrupt: Ctrl-C; TensorRT was told to stop and has stopped.
    """
    check_dialect(trt, plan)
    with listening() as messages:
        builder = trt.Builder(logger(trt))
        network = builder.create_network(_bits(trt.NetworkDefinitionCreationFlag, plan.network_flags))
        parser = trt.OnnxParser(network, logger(trt))
        if not parser.parse(onnx):
            raise BackendError(f"{_name(trt)} cannot parse the model: {_parser_errors(parser) or messages.errors}")
        config = builder.create_builder_config()
        configure(trt, builder, config, plan)
        _set_timing_cache(config, plan, timing_cache)
        cancelled = threading.Event()
        config.progress_monitor = progress_monitor = monitor(trt, on_progress, cancelled)
        engine = _run(builder, network, config, cancelled)
        del progress_monitor  # this reference had to live until here, since TensorRT holds only the address
        if engine is None:
            raise BackendError(f"{_name(trt)} cannot build the engine: {messages.errors}")
        return Built(
            engine, engine_layers.from_log(messages.of("VERBOSE")), _warnings(messages), _timings(config, plan)
        )


def dialect(trt: Any) -> Dialect:
    """Return the dialect of an installed TensorRT.

    Raises:
        UnsupportedError: edgewright does not build with this version.
    """
    if trt.__name__.startswith("tensorrt_rtx"):
        return "rtx"
    major = str(trt.__version__).partition(".")[0]
    if major == "10":
        return "10"
    if major == "11":
        return "11"
    raise UnsupportedError(f"edgewright builds engines with TensorRT 10 and 11; this is {trt.__version__}.")


def check_dialect(trt: Any, plan: BuildPlan) -> None:
    """Check that a plan was made for the installed TensorRT.

    Raises:
        UnsupportedError: the versions differ; says which is installed and which is needed.
    """
    if dialect(trt) != plan.dialect:
        raise UnsupportedError(
            f"The plan is for {plan.runtime} {plan.version} on {plan.device}, but {_name(trt)} is installed here; "
            "build again for a profile whose [tensorrt] names this version."
        )


def configure(trt: Any, builder: Any, config: Any, plan: BuildPlan) -> None:
    """Set everything in a plan on a builder's config, except for the timing cache."""
    config.clear_flag(trt.BuilderFlag.TF32)  # TensorRT sets it by default
    for name in plan.builder_flags:
        config.set_flag(_member(trt, trt.BuilderFlag, name))
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, plan.workspace_bytes)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # so that layers are listed with names and types
    if plan.optimization_level is not None:
        config.builder_optimization_level = plan.optimization_level
    if plan.hardware_compatibility != "none":
        level = _member(trt, trt.HardwareCompatibilityLevel, plan.hardware_compatibility.upper())
        config.hardware_compatibility_level = level
    if plan.dla_core is not None:
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = plan.dla_core
    if plan.dialect == "rtx":  # TensorRT itself builds for the GPU of this machine
        config.num_compute_capabilities = 1
        target = _member(trt, trt.ComputeCapability, "SM" + plan.compute_capability.replace(".", ""))
        config.set_compute_capability(target, 0)
    for shapes in plan.optimization_profiles:
        profile = builder.create_optimization_profile()
        for name, shape_range in shapes.items():
            profile.set_shape(name, shape_range.min, shape_range.opt, shape_range.max)
        if config.add_optimization_profile(profile) < 0:
            raise BackendError(f"{_name(trt)} refuses the shapes {dict(shapes)}.")


def _run(builder: Any, network: Any, config: Any, cancelled: threading.Event) -> bytes | None:
    """Build in another thread, so that this thread can receive Ctrl-C."""
    result: list[bytes | BaseException | None] = []

    def work() -> None:
        try:
            serialized = builder.build_serialized_network(network, config)
            result.append(None if serialized is None else bytes(serialized))
        except BaseException as error:  # it is raised again in the caller's thread
            result.append(error)

    thread = threading.Thread(target=work, name="tensorrt-build", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_WAIT_S)
    except BaseException:
        cancelled.set()
        thread.join()
        raise
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


def _set_timing_cache(config: Any, plan: BuildPlan, timing_cache: bytes | None) -> None:
    if plan.timing_cache and not config.set_timing_cache(config.create_timing_cache(timing_cache or b""), False):
        raise BackendError("TensorRT refuses the timing cache: it was made on another device, CUDA or TensorRT.")


def _timings(config: Any, plan: BuildPlan) -> bytes | None:
    cache = config.get_timing_cache() if plan.timing_cache else None
    return None if cache is None else bytes(cache.serialize())


def _warnings(messages: Messages) -> tuple[str, ...]:
    return tuple(" ".join(text.split()) for text in messages.of("WARNING"))


def _parser_errors(parser: Any) -> str:
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    return "; ".join(f"node {error.node_name()!r} ({error.node_operator()}): {error.desc()}" for error in errors[:3])


def _bits(enumeration: Any, names: tuple[str, ...]) -> int:
    return sum(1 << int(getattr(enumeration, name)) for name in names)


def _member(trt: Any, enumeration: Any, name: str) -> Any:
    member = getattr(enumeration, name, None)
    if member is None:
        raise UnsupportedError(f"{_name(trt)} has no {enumeration.__name__}.{name}, which the plan names.")
    return member


def _name(trt: Any) -> str:
    return f"{'tensorrt-rtx' if trt.__name__.startswith('tensorrt_rtx') else 'TensorRT'} {trt.__version__}"
