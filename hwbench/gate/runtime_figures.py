"""Figures that a gate takes from the runtime itself: where its nodes run, and how many instructions they take."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import Verdict
from hwbench.machine.instruction_counters import find_counting
from hwbench.machine.instruction_counts import InstructionCounts
from hwbench.measurements.report import Report
from hwbench.results.opened_bundle import OpenedBundle
from hwbench.targets import CountingTarget, ProfilingTarget, Target
from hwbench.wording import some
from runtimes.errors import UsageError
from runtimes.npz import write as write_npz
from runtimes.profilers import Placement, can_profile

_PROCESSES = 2  # counts differ by less than a ten-thousandth between processes (benchmarks/results/instructions.txt)


def add_runtime_figures(report: Report, item: OpenedBundle, budgets: Sequence[Budget], target: Target) -> Report:
    """Add what budgets on the placement or on instructions need to a bundle's report.

    Raises:
        UsageError: the runtime does not tell where its nodes run, or nothing counts instructions here.
        BackendError: a process failed.
    """
    for budget in budgets:
        if budget.quantity == "placement" and report.placement is None:
            report = dataclasses.replace(report, placement=_placement(item, budget, target))
        elif budget.quantity == "instructions" and report.instructions is None:
            report = dataclasses.replace(report, instructions=_instructions(item, budget, target))
    return report


def with_misplaced_nodes(verdict: Verdict, report: Report) -> Verdict:
    """Name the nodes that do not run where they should in a verdict on the placement."""
    if verdict.budget.quantity != "placement" or report.placement is None or not report.placement.elsewhere:
        return verdict
    nodes = [f"{node.node or node.op} ({node.op}, {node.where})" for node in report.placement.elsewhere]
    return dataclasses.replace(verdict, reason=f"{verdict.reason}; not where they should be: {some(nodes)}")


def _placement(item: OpenedBundle, budget: Budget, target: Target) -> Placement:
    runtime = item.manifest.artifact.runtime
    if not can_profile(runtime) or not isinstance(target, ProfilingTarget):
        raise UsageError(f"Budget '{budget.text}': {runtime} does not tell where its nodes run; leave it out.")
    with _inputs(item, budget) as inputs:
        found = target.profile(item.path, inputs).placement
    if found is None:
        raise UsageError(
            f"Budget '{budget.text}': this version of {runtime} does not tell where its nodes run; install a newer one."
        )
    return found


def _instructions(item: OpenedBundle, budget: Budget, target: Target) -> InstructionCounts:
    if not isinstance(target, CountingTarget):
        raise UsageError(f"Budget '{budget.text}': instructions are counted on this machine alone; leave out --target.")
    counting = find_counting()
    with _inputs(item, budget) as inputs:
        counts = [target.count_instructions(item.path, inputs, counting) for _ in range(_PROCESSES)]
    return InstructionCounts(counting.by, tuple(counts))


@contextlib.contextmanager
def _inputs(item: OpenedBundle, budget: Budget) -> Iterator[Path]:
    """Write the samples of single inferences to a file."""
    if item.manifest.artifact.states:
        raise UsageError(f"Budget '{budget.text}' is of single inferences, and the model has states; leave it out.")
    with tempfile.TemporaryDirectory(prefix="edgewright-") as work:
        file = Path(work, "inputs.npz")
        write_npz(file, item.inputs)
        yield file
