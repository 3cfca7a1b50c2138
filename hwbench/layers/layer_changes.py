"""Changes of layers between two bundles, from profiles of both that were taken by turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwbench.layers.node_pairs import Pair, pair
from hwbench.stats.intervals import Estimate
from hwbench.stats.paired_medians import paired_medians
from runtimes.profilers import NodeTime, Profile
from runtimes.tensors import Array

_KEPT = 10
"""Layers that a report holds: those that changed most."""


@dataclass(frozen=True)
class LayerChange:
    """One layer or fused kernel whose time changed.

    Attributes:
        layer: the runtime's name of it in the candidate, or in the baseline if it is gone.
        op: its operator there.
        before_us, after_us: median microseconds per inference; None where there is no such layer.
        change_us: the median of its changes over the rounds, whose interval holds for all layers together.
        before_op: its operator in the baseline, if that is another one; else empty.
    """

    layer: str
    op: str
    before_us: float | None
    after_us: float | None
    change_us: Estimate
    before_op: str = ""


@dataclass(frozen=True)
class LayerChanges:
    """The layers whose time changed between a baseline and a candidate.

    Attributes:
        rounds: number of profiles of each side.
        layers: number of layers that were compared.
        before_us: median microseconds of all nodes of the baseline together, per inference.
        total_us: the change of all nodes together.
        moved: layers whose interval excludes no change, the largest change first; at most ten.
        others: number of further ones.
        conversions: operators that convert (Cast, Quantize, Dequantize, Reorder): how many more the candidate runs, or
            fewer if it is negative.
        fallbacks: nodes of the candidate that do not run where they should, and did in the baseline.
        missing: the reason why nothing was compared, if so.
    """

    rounds: int = 0
    layers: int = 0
    before_us: float = 0.0
    total_us: Estimate | None = None
    moved: tuple[LayerChange, ...] = ()
    others: int = 0
    conversions: Mapping[str, int] = field(default_factory=dict)
    fallbacks: tuple[str, ...] = ()
    missing: str = ""


def compare(before: Sequence[Profile], after: Sequence[Profile]) -> LayerChanges:
    """Compare the layers of two models.

    Args:
        before: profiles of the baseline, one or more.
        after: those of the candidate; the two of one index are a round.
    """
    pairs = pair(before[0].times, after[0].times)
    times = [_times([old for old, _ in pairs], before), _times([new for _, new in pairs], after)]
    change = times[1] - times[0]
    estimates = paired_medians(change)
    (total,) = paired_medians(change.sum(axis=1, keepdims=True))
    medians = [np.median(each, axis=0) for each in times]
    found = [
        _change(one, estimate, float(old), float(new))
        for one, estimate, old, new in zip(pairs, estimates, *medians)
        if estimate.low > 0 or estimate.high < 0
    ]
    found.sort(key=lambda each: -abs(each.change_us.value))
    return LayerChanges(
        rounds=len(change),
        layers=len(pairs),
        before_us=float(np.median(times[0].sum(axis=1))),
        total_us=total,
        moved=tuple(found[:_KEPT]),
        others=max(len(found) - _KEPT, 0),
        conversions=_conversions(before[0], after[0]),
        fallbacks=_fallbacks(before[0], after[0]),
    )


def _times(nodes: Sequence[NodeTime | None], profiles: Sequence[Profile]) -> Array:
    """Tabulate the times of nodes [profiles, nodes] in us; 0 where a node did not run."""
    table = []
    for profile in profiles:
        known = {(item.node, item.op): item.us for item in profile.times}
        table.append([known.get((node.node, node.op), 0.0) if node is not None else 0.0 for node in nodes])
    return np.asarray(table, dtype=np.float64)


def _change(one: Pair, estimate: Estimate, before_us: float, after_us: float) -> LayerChange:
    old, new = one
    shown = new or old
    assert shown is not None  # a pair has at least one
    was = old.op if old is not None and old.op != shown.op else ""
    return LayerChange(
        shown.node, shown.op, before_us if old else None, after_us if new else None, estimate, before_op=was
    )


def _conversions(before: Profile, after: Profile) -> dict[str, int]:
    counts = [Counter(item.op for item in profile.times if item.kind == "conversion") for profile in (before, after)]
    ops = sorted(counts[0].keys() | counts[1].keys())
    return {op: counts[1][op] - counts[0][op] for op in ops if counts[0][op] != counts[1][op]}


def _fallbacks(before: Profile, after: Profile) -> tuple[str, ...]:
    if before.placement is None or after.placement is None:
        return ()
    known = {item.node for item in before.placement.elsewhere}
    return tuple(f"{item.node} ({item.where})" for item in after.placement.elsewhere if item.node not in known)
