"""Overview for `edgewright build --plan`: the plans and refusals of a device; no engine is built."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from runtimes.bundles.build_plan import BuildPlan
from runtimes.errors import UnsupportedError, UsageError
from runtimes.profile import HardwareProfile, Precision
from runtimes.tensors import TensorSpec
from toolchain.engines import trtexec
from toolchain.engines.planner import REFUSED, RUNTIMES, plan_engine
from toolchain.engines.shape_ranges import DimensionRanges
from toolchain.quantizers import quantizer

_PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "bf16", "int8", "fp8", "fp4")
_MIB = 1 << 20


@dataclass(frozen=True)
class Row:
    """One precision on one device: a plan with its trtexec command, or the reason why there is none."""

    device: str
    runtime: str
    precision: str
    plan: BuildPlan | None = None
    trtexec: str | None = None
    refusal: str | None = None


def overview(
    profile: HardwareProfile,
    inputs: Sequence[TensorSpec],
    ranges: Sequence[DimensionRanges] = (),
    precisions: Sequence[str] = (),
    runtimes: Sequence[str] = (),
) -> tuple[Row, ...]:
    """Plan every precision on every runtime of a device that builds engines.

    Args:
        profile: the device.
        inputs: the model's inputs.
        ranges: the sizes of dynamic dimensions, one mapping per optimization profile.
        precisions: the precisions to plan; all of TensorRT's, if empty.
        runtimes: the runtimes to plan for; all of the device's, if empty.

    Raises:
        UsageError: the device has no TensorRT, a precision is unknown, or a dimension has no range.
    """
    wanted = [runtime for runtime in runtimes or profile.runtimes if runtime in RUNTIMES]
    if not wanted:
        asked = f"--runtime names {', '.join(runtimes)}" if runtimes else f"it runs {', '.join(profile.runtimes)}"
        raise UsageError(
            f"No engines are built for {profile.name}: {asked}, and only {' and '.join(RUNTIMES)} have engines to plan."
        )
    return tuple(
        _row(profile, inputs, ranges, runtime, precision)
        for runtime in wanted
        for precision in precisions or _PRECISIONS
    )


def arithmetic(precision: str) -> tuple[Precision, ...]:
    """List the precisions that a recipe's graph computes in; operators around the products stay in float32.

    Raises:
        UsageError: there is no such precision.
    """
    for known in _PRECISIONS:
        if precision == known:
            return ("fp32",) if known == "fp32" else ("fp32", known)
    return arithmetic(quantizer(precision).COMPUTES_IN)


def render(rows: Sequence[Row]) -> str:
    """Render the rows as text: each device and runtime once, with the precisions that share a plan together."""
    lines: list[str] = []
    for (device, runtime), group in groupby(rows, key=lambda row: (row.device, row.runtime)):
        lines += [*([""] if lines else []), f"{device} on {runtime}"]
        alike: dict[str, list[str]] = {}
        for row in group:
            alike.setdefault(_text(row), []).append(row.precision)
        lines += [f"  {', '.join(precisions)}{text}" for text, precisions in alike.items()]
    return "\n".join(lines) + "\n"


def _row(
    profile: HardwareProfile,
    inputs: Sequence[TensorSpec],
    ranges: Sequence[DimensionRanges],
    runtime: str,
    precision: str,
) -> Row:
    if precision in REFUSED:
        return Row(profile.name, runtime, precision, refusal=REFUSED[precision])
    try:
        plan = plan_engine(profile, inputs, arithmetic(precision), ranges, runtime)
    except UnsupportedError as refusal:
        return Row(profile.name, runtime, precision, refusal=str(refusal))
    return Row(profile.name, runtime, precision, plan, trtexec.command(plan))


def _text(row: Row) -> str:
    if row.plan is None:
        return f": refused. {row.refusal}"
    words = textwrap.fill(_words(row.plan), 116, initial_indent="    ", subsequent_indent="    ")
    return f":\n{words}\n    $ {row.trtexec}"


def _words(plan: BuildPlan) -> str:
    parts = [
        f"{plan.runtime} {plan.version}, CUDA {plan.cuda}, dialect {plan.dialect}, "
        f"compute capability {plan.compute_capability}",
        f"{plan.typing} typing",
        f"network flags {', '.join(plan.network_flags) or 'none'}",
        f"builder flags {', '.join(plan.builder_flags) or 'none'}",
        f"workspace {plan.workspace_bytes // _MIB} MiB",
    ]
    if plan.optimization_level is not None:
        parts.append(f"optimization level {plan.optimization_level}")
    if plan.dla_core is not None:
        parts.append(f"DLA core {plan.dla_core}, the GPU where it cannot")
    if plan.hardware_compatibility != "none":
        parts.append(f"hardware compatibility {plan.hardware_compatibility}")
    for index, shapes in enumerate(plan.optimization_profiles):
        spelled = ", ".join(f"{name} {shape_range}" for name, shape_range in shapes.items())
        parts.append(f"optimization profile {index}: {spelled}")
    parts.append("timing cache" if plan.timing_cache else "no timing cache")
    return "; ".join(parts)
