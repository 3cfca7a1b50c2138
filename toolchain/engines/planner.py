"""Planner of engines: from a device and a model's inputs to a plan, or to the reason why there is none.

Planning needs neither TensorRT nor the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtimes.bundles.build_plan import BuildPlan, Dialect, ShapeRange
from runtimes.errors import UnsupportedError, UsageError
from runtimes.profile import Gpu, HardwareProfile, Precision, TensorRT
from runtimes.tensors import TensorSpec
from toolchain.engines import releases
from toolchain.engines.shape_ranges import DimensionRanges, shape_ranges

RUNTIMES = ("tensorrt", "tensorrt-rtx")
REFUSED: Mapping[str, str] = {
    "int8-dynamic": "TensorRT's parser takes no DynamicQuantizeLinear; use int8, whose Q/DQ pairs have fixed scales.",
    "int8-storage": "TensorRT's parser takes int8 constants before a DequantizeLinear alone, so weights and tables "
    "cannot be stored as int8; fp16-storage halves the file.",
}
"""By precision, the reason why TensorRT refuses the quantizer's graph (parser errors of tensorrt-rtx 1.7.1)."""

_MIB = 1 << 20


def plan_engine(
    profile: HardwareProfile,
    inputs: Sequence[TensorSpec],
    arithmetic: Sequence[Precision],
    ranges: Sequence[DimensionRanges] = (),
    runtime: str = "tensorrt",
) -> BuildPlan:
    """Plan one engine.

    Args:
        profile: the device; its table [tensorrt] has the release and the build settings.
        inputs: the model's inputs.
        arithmetic: the precisions that the graph computes in.
        ranges: sizes of dynamic dimensions, one mapping per optimization profile; see `shape_ranges`.
        runtime: "tensorrt" or "tensorrt-rtx".

    Raises:
        UnsupportedError: the device, or its TensorRT, does not support the request; the message says why.
        UsageError: the profile has no TensorRT, or a dimension has no range.
    """
    if runtime not in RUNTIMES:
        raise UsageError(f"'{runtime}' builds no engines; choose from {', '.join(RUNTIMES)}.")
    if profile.gpu is None or profile.tensorrt is None:
        raise UsageError(f"Profile {profile.name} has no [gpu] and [tensorrt] to build an engine for.")
    gpu, settings = profile.gpu, profile.tensorrt
    dialect = _rtx(gpu, settings) if runtime == "tensorrt-rtx" else _tensorrt(gpu, settings)
    for precision in arithmetic:
        releases.check_arithmetic(precision, None if dialect == "rtx" else settings.version, gpu.compute_capability)
    shapes = shape_ranges(inputs, ranges)
    _check_shapes(shapes, dialect, settings)
    typing = "strong" if dialect in ("11", "rtx") else settings.typing
    if settings.dla_core is not None:
        _check_dla(profile, gpu, settings, arithmetic, shapes)
    return BuildPlan(
        device=profile.name,
        runtime="tensorrt-rtx" if dialect == "rtx" else "tensorrt",
        version=releases.RTX_VERSION if dialect == "rtx" else settings.version,
        cuda=releases.RTX_CUDA if dialect == "rtx" else settings.cuda,
        dialect=dialect,
        compute_capability=gpu.compute_capability,
        arithmetic=tuple(arithmetic),
        typing=typing,
        network_flags=_network_flags(dialect, typing),
        builder_flags=_builder_flags(typing, gpu, settings, arithmetic),
        workspace_bytes=settings.workspace_mib * _MIB,
        optimization_level=_optimization_level(dialect, settings),
        optimization_profiles=shapes,
        hardware_compatibility=settings.hardware_compatibility,
        dla_core=settings.dla_core,
        timing_cache=dialect != "rtx",  # release notes of tensorrt-rtx: without effect, and it needs a GPU
    )


def _tensorrt(gpu: Gpu, settings: TensorRT) -> Dialect:
    """Check that the chip and the settings fit the device's TensorRT, and return its dialect."""
    dialect = releases.dialect(settings.version)
    releases.check_chip(settings.version, gpu.compute_capability)
    if dialect == "8" and settings.typing == "strong":
        raise UnsupportedError(f'TensorRT {settings.version} has no strongly typed networks; set typing = "weak".')
    if dialect == "11" and settings.typing == "weak":
        raise UnsupportedError(f'TensorRT {settings.version} has only strongly typed networks; set typing = "strong".')
    wanted: list[str] = [settings.hardware_compatibility] if settings.hardware_compatibility != "none" else []
    wanted += ["version_compatible"] if settings.version_compatible else []
    for name in wanted:
        first = releases.SINCE[name]
        if releases.parse(settings.version) < first:
            raise UnsupportedError(
                f"TensorRT {settings.version} has no {name}; {'.'.join(map(str, first))} is the first release with it."
            )
    if settings.hardware_compatibility == "ampere_plus" and releases.parse(gpu.compute_capability) < (8, 0):
        raise UnsupportedError(f"Compute capability {gpu.compute_capability} is older than Ampere (8.0).")
    if settings.hardware_compatibility != "none" and settings.source == "jetpack":
        # NVIDIA, TensorRT developer guide, "Hardware Compatibility": not supported on JetPack
        raise UnsupportedError("JetPack's TensorRT has no hardware compatibility; leave it out of [tensorrt].")
    return dialect


def _rtx(gpu: Gpu, settings: TensorRT) -> Dialect:
    if gpu.compute_capability not in releases.RTX_TARGETS:
        raise UnsupportedError(
            f"tensorrt-rtx has no target for compute capability {gpu.compute_capability}; it has "
            f"{', '.join(releases.RTX_TARGETS)}."
        )
    if settings.version_compatible:
        raise UnsupportedError("tensorrt-rtx builds no version-compatible engines; an engine needs the exact release.")
    if settings.hardware_compatibility != "none":
        raise UnsupportedError("tensorrt-rtx ignores hardware compatibility; leave it out of [tensorrt].")
    if settings.dla_core is not None:  # tensorrt-rtx ignores the setting without a warning
        raise UnsupportedError("tensorrt-rtx has no DLA; leave dla_core out of [tensorrt].")
    return "rtx"


def _check_shapes(shapes: Sequence[Mapping[str, ShapeRange]], dialect: Dialect, settings: TensorRT) -> None:
    if dialect == "8" and len(shapes) > 1:
        raise UnsupportedError(
            f"The trtexec of TensorRT {settings.version} builds the engine, and it takes one optimization profile; "
            "give every --range once."
        )


def _check_dla(
    profile: HardwareProfile,
    gpu: Gpu,
    settings: TensorRT,
    arithmetic: Sequence[Precision],
    shapes: Sequence[Mapping[str, ShapeRange]],
) -> None:
    """Check that a DLA core supports the request.

    Sources: NVIDIA, "DLA Supported Layers and Restrictions" and "Strongly Typed Networks for DLA" (TensorRT 11.4.1);
    "TensorRT and DLA" (8.x): no explicit quantization.
    """
    core = settings.dla_core
    if gpu.dla_cores == 0:
        raise UnsupportedError(f"{profile.title} has no DLA; leave dla_core out of [tensorrt].")
    if core not in range(gpu.dla_cores):
        raise UnsupportedError(f"{profile.title} has DLA cores 0 to {gpu.dla_cores - 1}, no {core}; change dla_core.")
    releases.check_dla(settings.version)
    old = releases.parse(settings.version) < (11,)
    if old and settings.typing == "strong":
        raise UnsupportedError(f'A DLA core of TensorRT {settings.version} takes no typed graph; set typing = "weak".')
    if old and "int8" in arithmetic:
        raise UnsupportedError(
            f"A DLA core of TensorRT {settings.version} takes no Q/DQ graph, and edgewright's int8 is one; use fp16 "
            "on the DLA, or int8 on the GPU."
        )
    if not set(arithmetic) & {"fp16", "int8"}:
        raise UnsupportedError(f"A DLA core computes in fp16 and int8, not in {', '.join(arithmetic)}.")
    for shape_range in (shape_range for shapes_of in shapes for shape_range in shapes_of.values()):
        if shape_range.min != shape_range.max:
            raise UnsupportedError(f"A DLA core takes fixed shapes, not {shape_range}; give --range DIM=N:N:N.")


def _network_flags(dialect: Dialect, typing: str) -> tuple[str, ...]:
    if dialect == "8":
        return ("EXPLICIT_BATCH",)
    # Release 11 has no such flag, since its networks are always strongly typed.
    return ("STRONGLY_TYPED",) if dialect in ("10", "rtx") and typing == "strong" else ()


def _builder_flags(typing: str, gpu: Gpu, settings: TensorRT, arithmetic: Sequence[Precision]) -> tuple[str, ...]:
    flags = ["TF32"] if releases.has_tf32(gpu.compute_capability) else []
    if typing == "weak":
        flags += [p.upper() for p in arithmetic if p not in ("fp32", "tf32")]
    if settings.dla_core is not None:
        flags.append("GPU_FALLBACK")
    if settings.version_compatible:
        flags.append("VERSION_COMPATIBLE")
    return tuple(flags)


def _optimization_level(dialect: Dialect, settings: TensorRT) -> int | None:
    known = dialect == "rtx" or releases.parse(settings.version) >= releases.SINCE["optimization_level"]
    return settings.optimization_level if known else None
