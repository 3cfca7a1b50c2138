"""Build an engine by its plan, with whichever TensorRT is given: 10, 11, or tensorrt-rtx."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from runtimes.bundles.build_plan import BuildPlan, Dialect, EngineLayer
from runtimes.errors import BackendError, UnsupportedError
from runtimes.tensorrt import engine_layers
from runtimes.tensorrt.build_progress import OnProgress, monitor
from runtimes.tensorrt.logger import Messages, listening, logger

_WAIT_S = 0.05


@dataclass(frozen=True)
class Built:
    """What a build gave.

    Attributes:
        layers: what the builder's log lists; empty where only the engine's inspector can tell.
        warnings: what TensorRT warned of.
        timing_cache: kernel times measured so far, for the next build; None where the plan keeps none.
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
        plan: how.
        onnx: the model, with its precision in the graph and its weights inside.
        on_progress: told how far the build is.
        timing_cache: what an earlier build under the same conditions measured.

    Raises:
        UnsupportedError: this TensorRT speaks another dialect than the plan, or lacks what it names.
        BackendError: it refuses the model, the settings or the timing cache; its own text is passed on.
        KeyboardInterrupt: Ctrl-C; TensorRT was told to stop and has.
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
        config.progress_monitor = watched = monitor(trt, on_progress, cancelled)
        engine = _run(builder, network, config, cancelled)
        del watched  # TensorRT holds it by its address alone
        if engine is None:
            raise BackendError(f"{_name(trt)} cannot build the engine: {messages.errors}")
        return Built(
            engine, engine_layers.from_log(messages.of("VERBOSE")), _warnings(messages), _timings(config, plan)
        )


def dialect(trt: Any) -> Dialect:
    """The dialect of an installed TensorRT.

    Raises:
        UnsupportedError: none that edgewright builds with.
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
    """Refuse a plan that was made for another TensorRT.

    Raises:
        UnsupportedError: says which is installed and which is needed.
    """
    if dialect(trt) != plan.dialect:
        raise UnsupportedError(
            f"The plan is for {plan.runtime} {plan.version} on {plan.device}, and {_name(trt)} is installed here; "
            "build again for a profile whose [tensorrt] names this version."
        )


def configure(trt: Any, builder: Any, config: Any, plan: BuildPlan) -> None:
    """Tell a builder's config everything that a plan holds, except for the timing cache."""
    config.clear_flag(trt.BuilderFlag.TF32)  # TensorRT sets it by default
    for name in plan.builder_flags:
        config.set_flag(_member(trt, trt.BuilderFlag, name))
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, plan.workspace_bytes)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # for the names and types of its layers
    if plan.optimization_level is not None:
        config.builder_optimization_level = plan.optimization_level
    if plan.hardware_compatibility != "none":
        level = _member(trt, trt.HardwareCompatibilityLevel, plan.hardware_compatibility.upper())
        config.hardware_compatibility_level = level
    if plan.dla_core is not None:
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = plan.dla_core
    if plan.dialect == "rtx":  # the others build for the GPU that is there
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
    """Build on a thread of its own, so that this one stays free for Ctrl-C."""
    result: list[bytes | BaseException | None] = []

    def work() -> None:
        try:
            serialized = builder.build_serialized_network(network, config)
            result.append(None if serialized is None else bytes(serialized))
        except BaseException as error:  # it is raised where the build was asked for
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
        raise BackendError("TensorRT refuses the timing cache: it is of another device, CUDA or TensorRT.")


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
        raise UnsupportedError(f"{_name(trt)} has no {enumeration.__name__}.{name}, which the plan asks for.")
    return member


def _name(trt: Any) -> str:
    return f"{'tensorrt-rtx' if trt.__name__.startswith('tensorrt_rtx') else 'TensorRT'} {trt.__version__}"
