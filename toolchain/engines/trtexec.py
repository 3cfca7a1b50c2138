"""Command that builds a plan's engine without edgewright, with the trtexec options of the device's release."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from runtimes.bundles.build_plan import BuildPlan, ShapeRange
from toolchain.engines.releases import parse

_MIB = 1 << 20
_COMPATIBILITY = {"ampere_plus": "ampere+", "same_compute_capability": "sameComputeCapability"}


def command(plan: BuildPlan, onnx: str = "model.onnx", engine: str = "model.engine") -> str:
    """Write the equivalent command line, with the options of that release's `trtexec --help`, quoted for a shell."""
    return shlex.join(_rtx(plan, onnx, engine) if plan.dialect == "rtx" else _tensorrt(plan, onnx, engine))


def _rtx(plan: BuildPlan, onnx: str, engine: str) -> list[str]:
    """Write the command of `tensorrt_rtx`, the tool of TensorRT for RTX; its default targets are 8.0 and later."""
    return ["tensorrt_rtx", f"--onnx={onnx}", f"--saveEngine={engine}", *_shapes(plan)]


def _tensorrt(plan: BuildPlan, onnx: str, engine: str) -> list[str]:
    release = parse(plan.version)
    words = ["trtexec", f"--onnx={onnx}", f"--saveEngine={engine}"]
    words.append("--skipInference" if release >= (8, 6) else "--buildOnly")
    workspace = plan.workspace_bytes // _MIB
    words.append(f"--memPoolSize=workspace:{workspace}" if release >= (8, 4) else f"--workspace={workspace}")
    if plan.typing == "weak":
        words += [f"--{flag.lower()}" for flag in plan.builder_flags if flag in ("FP16", "BF16", "INT8", "FP8")]
    elif "STRONGLY_TYPED" in plan.network_flags:
        words.append("--stronglyTyped")
    if plan.optimization_level is not None:
        words.append(f"--builderOptimizationLevel={plan.optimization_level}")
    if plan.dla_core is not None:
        words += [f"--useDLACore={plan.dla_core}", "--allowGPUFallback"]
    if "VERSION_COMPATIBLE" in plan.builder_flags:
        words.append("--versionCompatible")
    if plan.hardware_compatibility != "none":
        words.append(f"--hardwareCompatibilityLevel={_COMPATIBILITY[plan.hardware_compatibility]}")
    if plan.timing_cache:
        words.append("--timingCacheFile=timing.cache")
    return words + _shapes(plan)


def _shapes(plan: BuildPlan) -> list[str]:
    several = len(plan.optimization_profiles) > 1
    words: list[str] = []
    for index, shapes in enumerate(plan.optimization_profiles):
        words += [f"--profile={index}"] if several else []
        words += [f"--{which}Shapes={_spec(shapes, which)}" for which in ("min", "opt", "max")]
    return words


def _spec(shapes: Mapping[str, ShapeRange], which: str) -> str:
    """Write shapes as `name:1x3x8x8,other:1x4`, with single quotes around a name with a colon or a comma."""
    parts = []
    for name, shape_range in shapes.items():
        quoted = f"'{name}'" if set(name) & set(":,") else name
        parts.append(f"{quoted}:{'x'.join(map(str, getattr(shape_range, which)))}")
    return ",".join(parts)
