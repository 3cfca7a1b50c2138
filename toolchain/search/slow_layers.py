"""Why int8 did not pay, and which layers should go back to float, from a profile of every kernel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from hwbench.wording import count, some
from runtimes.errors import EdgewrightError
from toolchain.analysis import node_times
from toolchain.analysis.node_times import NodeTime
from toolchain.search.trials import Trial

_SLOWER = 1.1  # a layer goes back where its integer kernel takes this much longer than its float one
_NAMED = 4  # layers that a sentence names
_WORSE = 1.05  # by less, int8 is not called slower


def remark(trial: Trial, trials: Iterable[Trial], timed: Path) -> str:
    """Why an attempt in int8 is slower than float on the same runtime; nothing, if it is not, or nobody can tell.

    Args:
        trial: measured, perhaps in screening alone.
        trials: all there are, its float twin among them.
        timed: an .npz of samples to profile with.
    """
    floats = float_twin(trial, trials)
    mine, other = trial.speed_ms, floats.speed_ms if floats is not None else None
    if floats is None or mine is None or other is None or mine <= _WORSE * other:
        return ""
    times = _profile(trial, timed)
    return explain(times, mine / other, floats.name) if times else ""


def slow_layers(int8: Trial, trials: Iterable[Trial], timed: Path, layers: Sequence[str]) -> tuple[str, ...]:
    """The layers that int8 made slower, if they are some and not all; for the arguments see `remark`."""
    floats = float_twin(int8, trials)
    integers = _profile(int8, timed) if floats is not None else []
    if floats is None or not integers:
        return ()
    slow = slower_in_int8(integers, _profile(floats, timed), layers)
    return slow if len(slow) < sum(item.kind == "integer product" for item in integers) else ()


def float_twin(trial: Trial, trials: Iterable[Trial]) -> Trial | None:
    """The float model on the same runtime."""
    for other in trials:
        same = other.candidate.runtime == trial.candidate.runtime and other.artifact is not None
        if same and other.candidate.recipe.precision == "fp32":
            return other
    return None


def explain(int8: Sequence[NodeTime], ratio: float, against: str) -> str:
    """One sentence: how much slower, what share of the time is conversion, and what stayed in float.

    Args:
        int8: where the quantized model's time goes.
        ratio: its latency, divided by that of what it is compared with.
        against: the name of that.
    """
    total = sum(item.us for item in int8) or 1.0
    conversions = [item for item in int8 if item.kind == "conversion"]
    floats = [item.node for item in int8 if item.kind == "float product"]
    share = sum(item.us for item in conversions) / total
    causes = []
    if conversions:
        kernels = count(len(conversions), "Quantize, Dequantize or Cast kernel")
        causes.append(f"{share:.0%} of its time is in {kernels}")
    if floats:
        causes.append(f"{count(len(floats), 'product')} stayed in float: {some(floats, _NAMED)}")
    why = ", and ".join(causes) or "its integer kernels are no faster here"
    return f"int8 did not pay: {ratio:.2g}x slower than {against}; {why}"


def slower_in_int8(int8: Sequence[NodeTime], floats: Sequence[NodeTime], layers: Sequence[str]) -> tuple[str, ...]:
    """The layers whose integer kernel is slower than their float one.

    Kernels are paired by their order: fusing gives the float model's other names. Where the two have not the same
    number of products, that says nothing, and no layer is named.

    Args:
        int8: where the quantized model's time goes.
        floats: where the float model's does, on the same runtime.
        layers: the names of the model's operators.
    """
    ours = [item for item in int8 if item.kind in ("integer product", "float product")]
    theirs = [item for item in floats if item.kind == "float product"]
    if len(ours) != len(theirs):
        return ()
    slow = (_layer(mine.node, layers) for mine, other in zip(ours, theirs) if _lost(mine, other))
    return tuple(sorted({name for name in slow if name is not None}))


def _profile(trial: Trial, timed: Path) -> list[NodeTime]:
    """Where an attempt's time goes; empty where its runtime does not tell, or crashes while it is asked."""
    if trial.artifact is None or not node_times.can_profile(trial.candidate.runtime):
        return []
    try:
        return node_times.profile(trial.artifact, timed)
    except EdgewrightError:  # it ran elsewhere; an explanation is not worth a candidate
        return []


def _lost(mine: NodeTime, other: NodeTime) -> bool:
    return mine.kind == "integer product" and mine.us > _SLOWER * other.us


def _layer(kernel: str, layers: Sequence[str]) -> str | None:
    """The operator that a kernel is named after: the longest name that it begins with."""
    found = [name for name in layers if kernel.startswith(name) and not kernel[len(name) : len(name) + 1].isalnum()]
    return max(found, key=len, default=None)
