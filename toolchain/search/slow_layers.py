"""Layers that int8 made slower, and the reasons why int8 is slower than float, from a profile of every kernel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from hwbench.targets.local import LocalTarget
from hwbench.wording import count, some
from runtimes.errors import EdgewrightError
from runtimes.profilers import NodeTime, can_profile
from toolchain.search.margin import CLEARLY_FASTER
from toolchain.search.trials import Trial

_SLOWER = 1.1  # times the float kernel's time: a layer returns to float32 where its integer kernel takes longer
_WORTH = 0.01  # of int8's time: a layer that would save less stays in int8, since profiles differ by as much
_NAMED = 4  # layers that a remark names
_CAUSE = 0.05  # of the time: conversions that take less do not make int8 slower than float
_WORSE = 1.05  # times the float latency: up to this ratio, int8 is not called slower


def remark(trial: Trial, trials: Iterable[Trial], timed: Path) -> str:
    """Explain why an int8 trial is slower than float on the same runtime; empty if it is not, or without a profile.

    Args:
        trial: a measured trial, perhaps in screening alone.
        trials: all trials, its float twin among them.
        timed: an .npz of samples to profile with.
    """
    floats = float_twin(trial, trials)
    mine, other = trial.speed_ms, floats.speed_ms if floats is not None else None
    if floats is None or mine is None or other is None or mine <= _WORSE * other:
        return ""
    times = _profile(trial, timed)
    return explain(times, mine / other, floats.name) if times else ""


def slow_layers(int8: Trial, trials: Iterable[Trial], timed: Path, layers: Sequence[str]) -> tuple[str, ...]:
    """Find the layers that int8 made slower; none if it made all of them slower.

    Args:
        int8: a measured int8 trial.
        trials: all trials, its float twin among them.
        timed: an .npz of samples to profile with.
        layers: the names of the model's operators.
    """
    floats = float_twin(int8, trials)
    integers = _profile(int8, timed) if floats is not None else []
    if floats is None or not integers:
        return ()
    slow = slower_in_int8(integers, _profile(floats, timed), layers)
    return slow if len(slow) < sum(item.kind == "integer product" for item in integers) else ()


def float_twin(trial: Trial, trials: Iterable[Trial]) -> Trial | None:
    """Find the float32 trial on the same runtime."""
    for other in trials:
        same = other.candidate.runtime == trial.candidate.runtime and other.artifact is not None
        if same and other.candidate.recipe.precision == "fp32":
            return other
    return None


def explain(int8: Sequence[NodeTime], ratio: float, against: str) -> str:
    """Write one sentence: how much slower int8 is, its share of conversions, and the products that stayed in float.

    Args:
        int8: the time of each kernel of the quantized model.
        ratio: its latency, divided by the float model's.
        against: the float model's name.
    """
    total = sum(item.us for item in int8) or 1.0
    conversions = [item for item in int8 if item.kind == "conversion"]
    floats = [item.node for item in int8 if item.kind == "float product"]
    share = sum(item.us for item in conversions) / total
    causes = []
    if share >= _CAUSE:
        kernels = count(len(conversions), "Quantize, Dequantize or Cast kernel")
        causes.append(f"{share:.0%} of its time is in {kernels}")
    if floats:
        causes.append(f"{count(len(floats), 'product')} stayed in float: {some(floats, _NAMED)}")
    why = ", and ".join(causes) or "its integer kernels are no faster here"
    return f"int8 is {ratio:.2g}x slower than {against}; {why}"


def slower_in_int8(int8: Sequence[NodeTime], floats: Sequence[NodeTime], layers: Sequence[str]) -> tuple[str, ...]:
    """Find the layers whose integer kernel is slower than their float kernel.

    Layers that would save next to nothing are left out, and so are all if they would not make int8 clearly faster:
    which ones these are is another in every profile. Kernels are paired by their order, since fusion gives those of the
    float model other names. Where the two models have different numbers of products, pairs would mean nothing, and no
    layer is found.

    Args:
        int8: the time of each kernel of the quantized model.
        floats: the time of each kernel of the float model, on the same runtime.
        layers: the names of the model's operators.
    """
    ours = [item for item in int8 if item.kind in ("integer product", "float product")]
    theirs = [item for item in floats if item.kind == "float product"]
    if len(ours) != len(theirs):
        return ()
    total = sum(item.us for item in int8)
    saved = {
        name: mine.us - other.us
        for mine, other in zip(ours, theirs)
        if _is_slower(mine, other, total) and (name := _layer(mine.node, layers)) is not None
    }
    return tuple(sorted(saved)) if total > CLEARLY_FASTER * (total - sum(saved.values())) else ()


def _profile(trial: Trial, timed: Path) -> list[NodeTime]:
    """Measure the time of each kernel; empty if the runtime has no profiler, or crashes while profiling."""
    if trial.artifact is None or not can_profile(trial.candidate.runtime):
        return []
    try:
        return list(LocalTarget().profile(trial.bundle, timed).times)
    except EdgewrightError:  # the candidate ran before: a missing explanation must not cost it
        return []


def _is_slower(mine: NodeTime, other: NodeTime, total_us: float) -> bool:
    is_slower = mine.us > _SLOWER * other.us and mine.us - other.us > _WORTH * total_us
    return mine.kind == "integer product" and is_slower


def _layer(kernel: str, layers: Sequence[str]) -> str | None:
    """Find the operator that a kernel is named after: the longest one with which the kernel's name begins."""
    found = [name for name in layers if kernel.startswith(name) and not kernel[len(name) : len(name) + 1].isalnum()]
    return max(found, key=len, default=None)
