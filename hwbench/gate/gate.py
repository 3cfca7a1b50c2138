"""Sequential gate: measure a bundle in rounds until every verdict is certain, or the time is up."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwbench.budgets import GATE_CONFIDENCE
from hwbench.budgets.accuracy_limits import check_directions
from hwbench.budgets.baseline import check_comparable, judge_report
from hwbench.budgets.budget import Budget
from hwbench.budgets.family_error import FamilyError
from hwbench.budgets.outcome import Outcome
from hwbench.budgets.verdicts import Verdict
from hwbench.gate.rounds import Rounds
from hwbench.gate.runtime_figures import add_runtime_figures, with_misplaced_nodes
from hwbench.gate.sides import BASELINE, CANDIDATE, SideError, alternate, bundle_side
from hwbench.gate.stopping_rule import decide
from hwbench.layers.layer_changes import LayerChanges
from hwbench.machine import device_profiles, machine_facts
from hwbench.measurements import interference
from hwbench.measurements.latency import Latency, block_runs_needed
from hwbench.measurements.quantities import PERCENTILES, QUANTITIES
from hwbench.measurements.report import Report
from hwbench.progress import Tick
from hwbench.results.measure_bundles import Evaluation, report_of, scored_by
from hwbench.results.opened_bundle import OpenedBundle, Shapes, at_shapes, open_bundle
from hwbench.stats.confidence_sequences import ALPHA, blocks_needed
from hwbench.targets import Target
from runtimes.errors import UsageError
from runtimes.sampling.closed_loop import UNLIMITED_RUNS, Block, SamplingPlan

MAX_TIME_S = 60.0
_BLOCK_S = 0.1  # about the time of starting a process; many short processes, since they differ more than runs do
_LEAST_RUNS, _MOST_RUNS = 20, 1_000  # per block: a model below 0.1 ms reaches the second before `_BLOCK_S` has passed


@dataclass(frozen=True)
class Gated:
    """The verdicts of a gate and the reports behind them.

    Attributes:
        baseline: None without a baseline.
        layers: the layers whose time changed, if they were looked for; see `layer_attribution.explain`.
    """

    candidate: Report
    baseline: Report | None
    verdicts: tuple[Verdict, ...]
    layers: LayerChanges | None = None


@dataclass(frozen=True)
class GatePlan:
    """Limits of a gate: its time, and how sure it has to be.

    Attributes:
        max_time_s: limit of the whole gate; a round that would end later is not begun.
        block_s: the shortest time that each process measures; None for a tenth of a second, or a thousand inferences.
        seed: the random seed of the order within rounds; None for a seed from the system.
        confidence: the confidence that a verdict on accuracy takes, unless `error` is given.
        error: the probabilities of a wrong verdict on any budget; None for `ALPHA` over the budgets that rounds decide.
        shapes: shapes of inputs to time at, apart from budgets that name sizes; those of the samples, if none.
    """

    max_time_s: float = MAX_TIME_S
    block_s: float | None = None
    seed: int | None = None
    confidence: float = GATE_CONFIDENCE
    shapes: Shapes = ()
    error: FamilyError | None = None


def gate_bundle(
    candidate: Path,
    baseline: Path | Report | None,
    budgets: Sequence[Budget],
    target: Target,
    plan: GatePlan,
    tick: Tick,
    evaluation: Evaluation | None = None,
    baseline_target: Target | None = None,
) -> Gated:
    """Judge a bundle against budgets, here and now.

    A baseline that is a bundle is measured in the same rounds; see `sides.alternate`. The same path given twice is
    measured twice. A baseline that is a report is compared as it stands. Budgets that name sizes of the inputs
    are measured after the others, and the sizes share the time.

    Args:
        candidate: the bundle.
        baseline: a bundle or a report to compare with; None without relative budgets.
        budgets: limits on any quantities.
        target: the machine that measures.
        plan: time limits.
        tick: called after each round.
        evaluation: samples to score on; None to take the accuracy from the bundle's own report.
        baseline_target: what runs the baseline, if it is another interpreter than the candidate's.

    Raises:
        UsageError: a relative budget has no baseline, or one that cannot be compared.
        BundleError: a file was refused.
        BackendError: a process that ran a model reported an error. One that crashed or hung gives a verdict instead.
    """
    targets = (target, baseline_target or target)
    ours = open_bundle(candidate)
    theirs = open_bundle(baseline) if isinstance(baseline, Path) else None
    for budget in budgets:
        if budget.relative and baseline is None:
            raise UsageError(f"Budget '{budget.text}' compares with a baseline; give one with --baseline.")
    if scales := scored_by(ours, evaluation):
        check_directions(budgets, scales)
    is_here = device_profiles.fits(ours.manifest.profile, target.machine)
    why = "no budget limits it" if is_here else device_profiles.mismatch(ours.manifest.profile)
    other = report_of(theirs, None, why, evaluation, targets[BASELINE], targets[BASELINE].machine) if theirs else None
    other = baseline if isinstance(baseline, Report) else other
    report = report_of(ours, None, why, evaluation, target, target.machine, other)
    if is_here:
        report = add_runtime_figures(report, ours, budgets, target)
        other = add_runtime_figures(other, theirs, budgets, targets[BASELINE]) if theirs and other else other
    if other is not None:
        check_comparable(report, other, budgets)
    of_machine = [budget for budget in budgets if QUANTITIES[budget.quantity].of_machine]
    sequential = _sequential(of_machine, sides=1 if theirs is None else 2)
    error = plan.error or FamilyError(ALPHA, max(len(sequential), 1))
    decided: dict[str, Verdict] = {}
    if of_machine and is_here:
        groups, end_s = _by_sizes(of_machine), time.monotonic() + plan.max_time_s
        for number, group in enumerate(groups):
            share_s = max(end_s - time.monotonic(), 0.0) / (len(groups) - number)
            share = dataclasses.replace(plan, max_time_s=share_s)
            sides = [at_shapes(item, plan.shapes, group[0].at) for item in (ours, theirs) if item is not None]
            verdicts, rounds = _measure(sides, targets, group, share, tick, error)
            decided |= verdicts
            report = _with_latency(report, sides[0], rounds.candidate, verdicts)
            if other is not None and theirs is not None:
                other = _with_latency(other, sides[1], rounds.baseline, verdicts)
        if other is not None:
            check_comparable(report, other, budgets)
    rest = [budget for budget in budgets if budget.text not in decided]
    stored = judge_report(report, rest, other, plan.confidence, plan.error)
    judged = {verdict.budget.text: verdict for verdict in stored}
    all_verdicts = ((decided | judged)[budget.text] for budget in budgets)
    return Gated(report, other, tuple(with_misplaced_nodes(one, report) for one in all_verdicts))


def _by_sizes(budgets: Sequence[Budget]) -> list[list[Budget]]:
    """Group budgets by the sizes that they name, those that name none first."""
    groups: dict[tuple[tuple[str, int], ...], list[Budget]] = {}
    for budget in sorted(budgets, key=lambda budget: bool(budget.at)):
        groups.setdefault(tuple(sorted(budget.at.items())), []).append(budget)
    return list(groups.values())


def sampling_plan(budgets: Sequence[Budget] = (), block_s: float | None = None) -> SamplingPlan:
    """Plan blocks that are as short as the budgets' percentiles allow, or as long as the user asked."""
    asked = [percent / 100 for percent in PERCENTILES if f"p{percent:g}" in {budget.quantity for budget in budgets}]
    runs = max([_LEAST_RUNS, *(2 * block_runs_needed(p) for p in asked)])
    duration_s = _BLOCK_S if block_s is None else block_s
    return SamplingPlan(
        min_runs=runs,
        max_runs=max(runs, _MOST_RUNS if block_s is None else UNLIMITED_RUNS),
        duration_s=duration_s,
        warmup_limit_s=max(1.0, duration_s),
        time_limit_s=max(SamplingPlan.time_limit_s, 2 * duration_s),
    )


def _sequential(budgets: Sequence[Budget], sides: int) -> list[Budget]:
    """Choose the budgets that rounds decide: all but those that compare with a stored report."""
    return [budget for budget in budgets if not budget.relative or sides == 2]


def _measure(
    items: Sequence[OpenedBundle],
    targets: Sequence[Target],
    budgets: Sequence[Budget],
    plan: GatePlan,
    tick: Tick,
    error: FamilyError,
) -> tuple[dict[str, Verdict], Rounds]:
    """Measure bundles, the candidate first, in rounds that decide budgets of one group of sizes.

    Budgets that compare with a stored report get no verdict, but enough rounds to be compared with it.
    """
    limits = _sequential(budgets, len(items))
    least = blocks_needed() if len(limits) < len(budgets) else 1
    sampling, machine = sampling_plan(budgets, plan.block_s), targets[CANDIDATE].machine
    known = machine_facts.recall(machine).probe_ns
    with tempfile.TemporaryDirectory(prefix="edgewright-") as work:
        sides = [
            bundle_side(item, target, sampling, Path(work, f"{side}.npz"))
            for side, (item, target) in enumerate(zip(items, targets))
        ]
        take = alternate(sides, plan.seed, tick, known)
        try:
            decided, rounds = decide(take, limits, plan.max_time_s, least=least, error=error)
        except SideError as failure:
            return _crashed(budgets, failure), Rounds(())
    level = interference.undisturbed_probe_ns(rounds.interference("candidate"))
    if level is not None and len(rounds) >= blocks_needed():
        machine_facts.note_probe(machine, level)
    return decided, rounds


def _crashed(budgets: Sequence[Budget], failure: SideError) -> dict[str, Verdict]:
    """Judge a crash: a candidate that crashes fails; beside a baseline that crashes, every verdict is inconclusive."""
    outcome: Outcome = "fail" if failure.side == CANDIDATE else "inconclusive"
    return {b.text: Verdict(b, outcome, None, f"the {failure.name}'s process failed: {failure}") for b in budgets}


def _with_latency(report: Report, item: OpenedBundle, blocks: tuple[Block, ...], decided: dict[str, Verdict]) -> Report:
    """Add a latency to a report: as its own if it is the first, else as one at other sizes."""
    if not blocks:
        return dataclasses.replace(report, unmeasured={"latency": next(iter(decided.values())).reason})
    threads = item.manifest.artifact.settings.threads
    latency = Latency("single_stream", blocks[0].batch, threads, blocks)
    if report.latency is not None:
        return dataclasses.replace(report, sized=(*report.sized, latency))
    return dataclasses.replace(report, latency=latency, unmeasured={})
