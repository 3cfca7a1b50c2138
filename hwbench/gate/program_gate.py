"""Gate of programs: what any program prints of its inferences is judged as the blocks of a bundle are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from hwbench.budgets.baseline import judge_report
from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import Verdict
from hwbench.gate.gate import Gated, GatePlan, sampling_plan
from hwbench.gate.rounds import Rounds
from hwbench.gate.sides import Side, alternate
from hwbench.gate.stopping_rule import decide
from hwbench.machine import device_profiles
from hwbench.measurements.latency import Latency
from hwbench.measurements.quantities import QUANTITIES
from hwbench.measurements.report import Report
from hwbench.progress import Tick
from hwbench.targets.command import CommandTarget
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.errors import UsageError
from runtimes.sampling.closed_loop import Block, SamplingPlan

_NO_BUNDLE = Path("no-bundle")


def gate_programs(
    candidate: CommandTarget,
    baseline: CommandTarget | None,
    budgets: Sequence[Budget],
    plan: GatePlan,
    tick: Tick,
) -> Gated:
    """Judge a program's inferences against budgets, each block by a start of the program.

    Args:
        candidate: the program.
        baseline: the program to compare with, whose blocks are interleaved with the candidate's.
        budgets: limits on quantities of the machine, and on the size of the program's file.
        plan: time limits.
        tick: called after each round.

    Raises:
        UsageError: a budget needs a baseline, or a bundle.
        BackendError: a program failed, hung, or printed what is no line of the protocol.
    """
    for budget in budgets:
        if budget.relative and baseline is None:
            raise UsageError(f"Budget '{budget.text}' compares with a baseline; give one with --baseline-command.")
        if budget.is_accuracy or budget.at:
            raise UsageError(f"Budget '{budget.text}' needs inputs that a bundle has; give CANDIDATE as well.")
    programs = [program for program in (candidate, baseline) if program is not None]
    for program in programs:
        if (missing := next((word for word in ("inputs", "bundle") if program.needs(word)), None)) is not None:
            raise UsageError(f"The command of '{program.name}' has {{{missing}}}, which a bundle has; give CANDIDATE.")
    timed = [budget for budget in budgets if QUANTITIES[budget.quantity].of_machine]
    decided: dict[str, Verdict] = {}
    rounds = Rounds(())
    if timed:
        sampling = sampling_plan(timed, plan.block_s)
        sides = [_side(program, sampling) for program in programs]
        decided, rounds = decide(alternate(sides, plan.seed, tick), timed, plan.max_time_s, error=plan.error)
    ours = _report(candidate, rounds.candidate)
    theirs = _report(baseline, rounds.baseline) if baseline is not None else None
    rest = judge_report(ours, [budget for budget in budgets if budget.text not in decided], theirs, plan.confidence)
    judged = decided | {verdict.budget.text: verdict for verdict in rest}
    return Gated(ours, theirs, tuple(judged[budget.text] for budget in budgets))


def _side(program: CommandTarget, sampling: SamplingPlan) -> Side:
    return lambda: program.sample(_NO_BUNDLE, _NO_BUNDLE, sampling)


def _report(program: CommandTarget, blocks: tuple[Block, ...]) -> Report:
    content = program.executable.read_bytes()
    artifact = Artifact(
        file=Path(program.name),
        runtime="program",
        precision="as it is",
        inputs=(),
        outputs=(),
        settings=RuntimeSettings(threads=0),
        source_sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        tool_versions={},
    )
    machine = program.machine
    return Report(
        model=program.name,
        profile=device_profiles.detect(machine).name,
        artifact=artifact,
        machine=machine,
        latency=Latency("single_stream", blocks[0].batch, 0, blocks) if blocks else None,
        unmeasured={} if blocks else {"latency": "no budget limits it"},
        candidate=program.name,
    )
