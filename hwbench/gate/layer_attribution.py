"""Attribution of a failed gate: both bundles are profiled by turns, to tell which layers took longer."""

from __future__ import annotations

import dataclasses
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import Verdict
from hwbench.gate.gate import Gated, GatePlan
from hwbench.layers.change_wording import cause
from hwbench.layers.layer_changes import LayerChanges, compare
from hwbench.measurements.quantities import PERCENTILES
from hwbench.progress import Tick
from hwbench.results.opened_bundle import OpenedBundle, at_shapes, open_bundle
from hwbench.stats.paired_medians import rounds_needed
from hwbench.targets import ProfilingTarget, Target
from hwbench.wording import count
from runtimes.errors import EdgewrightError
from runtimes.npz import write as write_npz
from runtimes.profilers import Profile, can_profile

_OF_TIME = {"throughput", *(f"p{percent:g}" for percent in PERCENTILES)}
_LEAST_ROUNDS = 6  # a median of fewer has no interval, however few the layers are


def explain(
    gated: Gated,
    bundles: tuple[Path, Path],
    targets: Sequence[Target],
    plan: GatePlan,
    tick: Tick,
) -> Gated:
    """Name the layers whose time changed, where a candidate failed a budget on time.

    Profiles are taken in processes of their own, one of each side per round, in random order, until every layer has an
    interval, or for half of the gate's time.

    Args:
        gated: the verdicts.
        bundles: the candidate and the baseline.
        targets: what ran each of them.
        plan: the plan of the gate.
        tick: called after each round.

    Returns:
        The same with `layers` and, in the reasons of the failed verdicts, the layers that took most of the change.
    """
    failed = [one for one in gated.verdicts if one.outcome == "fail" and one.budget.quantity in _OF_TIME]
    if not failed or gated.candidate.latency is None:
        return gated
    found = changes(bundles, targets, failed[0].budget, plan, tick)
    verdicts = tuple(_because(one, found) if one in failed else one for one in gated.verdicts)
    return dataclasses.replace(gated, verdicts=verdicts, layers=found)


def _because(verdict: Verdict, changes: LayerChanges) -> Verdict:
    why = cause(changes)
    return dataclasses.replace(verdict, reason=f"{verdict.reason}; {why}") if why else verdict


def changes(
    bundles: Sequence[Path], targets: Sequence[Target], budget: Budget, plan: GatePlan, tick: Tick
) -> LayerChanges:
    """Compare the layers of a candidate and a baseline, at the sizes that a budget is of; see `explain`."""
    able = [target for target in targets if isinstance(target, ProfilingTarget)]
    if len(able) < len(targets):
        return LayerChanges(missing="its target does not tell the time of each node")
    items = [at_shapes(open_bundle(path), plan.shapes, budget.at) for path in bundles]
    if why := _unfit(items):
        return LayerChanges(missing=why)
    try:
        candidate, baseline = _profiles(items, able, plan, tick)
    except EdgewrightError as error:  # the verdict stands without its explanation
        return LayerChanges(missing=f"a profile failed: {error}")
    if len(candidate) < _LEAST_ROUNDS:
        return LayerChanges(
            missing=f"there was time for {count(len(candidate), 'profile')} of each side; raise --max-time"
        )
    return compare(baseline, candidate)


def _unfit(items: Sequence[OpenedBundle]) -> str:
    """Say why two bundles' layers cannot be compared; empty if they can."""
    runtimes = [item.manifest.artifact.runtime for item in items]
    if runtimes[0] != runtimes[1]:
        return f"the baseline runs on {runtimes[1]}, whose nodes are others than those of {runtimes[0]}"
    if not can_profile(runtimes[0]):
        return f"{runtimes[0]} does not tell the time of each node"
    if any(item.manifest.artifact.states for item in items):
        return "steps of a model with states are not profiled"
    return ""


def _profiles(
    items: Sequence[OpenedBundle], targets: Sequence[ProfilingTarget], plan: GatePlan, tick: Tick
) -> tuple[list[Profile], list[Profile]]:
    order, start = random.Random(plan.seed), time.monotonic()
    taken: tuple[list[Profile], list[Profile]] = ([], [])
    with tempfile.TemporaryDirectory(prefix="edgewright-") as work:
        inputs = [Path(work, f"{side}.npz") for side in range(2)]
        for item, file in zip(items, inputs):
            write_npz(file, item.inputs)
        while True:
            for side in order.sample(range(2), 2):
                taken[side].append(targets[side].profile(items[side].path, inputs[side]))
            rounds, passed_s = len(taken[0]), time.monotonic() - start
            tick(f"profile {rounds}")
            layers = max(len(each[0].times) for each in taken)
            if rounds >= rounds_needed(layers) or passed_s * (rounds + 1) / rounds > plan.max_time_s / 2:
                return taken
