"""The part of `edgewright gate` behind --command: reading the programs, and gating them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from runtimes.errors import UsageError

if TYPE_CHECKING:
    from hwbench.budgets.budget import Budget
    from hwbench.gate.gate import Gated, GatePlan
    from hwbench.progress import Tick
    from hwbench.results.measure_bundles import Evaluation
    from hwbench.targets.command import CommandTarget

F = TypeVar("F", bound=Callable[..., Any])

_NOT_WITH_PROGRAMS = ("baseline", "baseline_python", "self_test", "target")
_OF_A_BUNDLE = ("evaluation", "metrics", "shapes")


def program_options(function: F) -> F:
    """Add --command and --baseline-command."""
    baseline = click.option(
        "--baseline-command", metavar="COMMAND", help="A program to compare with; its runs are interleaved."
    )
    program = click.option(
        "--command",
        "program",
        metavar="COMMAND",
        help="Gate this program in place of a runtime: it prints a line of JSON for each inference, such as "
        '{"ms": 1.25}. {inputs}, {outputs}, {bundle}, {runs} and {seconds} are filled in.',
    )
    return program(baseline(function))


@dataclass(frozen=True)
class Programs:
    """The programs of a gate, and the bundle whose samples they take.

    Attributes:
        bundle: None if the programs have inputs of their own.
    """

    candidate: CommandTarget
    baseline: CommandTarget | None
    bundle: Path | None

    @property
    def path(self) -> Path:
        """The file that stands for the candidate in messages: the bundle, or else the program."""
        return self.bundle or self.candidate.executable

    def gate(self, budgets: tuple[Budget, ...], plan: GatePlan, tick: Tick, evaluation: Evaluation | None) -> Gated:
        """Gate the programs; see `program_gate.gate_programs` and `gate.gate_bundle`."""
        from hwbench.gate.gate import gate_bundle
        from hwbench.gate.program_gate import gate_programs

        if self.bundle is None:
            return gate_programs(self.candidate, self.baseline, budgets, plan, tick)
        other = self.bundle if self.baseline is not None else None
        return gate_bundle(self.bundle, other, budgets, self.candidate, plan, tick, evaluation, self.baseline)


def read_programs(
    ctx: click.Context, candidate: Path | None, program: str | None, baseline: str | None
) -> Programs | None:
    """Read the programs of the options; None without any.

    Raises:
        UsageError: there is neither a candidate nor a program, a program is missing, or an option does not fit.
    """
    if program is None:
        if baseline is not None:
            raise UsageError("--baseline-command is what a program is compared with; give --command, too.")
        if candidate is None:
            raise UsageError("There is nothing to judge; give CANDIDATE, a bundle or a report.json, or --command.")
        return None
    unfit = _NOT_WITH_PROGRAMS if candidate is not None else (*_NOT_WITH_PROGRAMS, *_OF_A_BUNDLE)
    for param in ctx.command.params:
        if param.name in unfit and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE:
            why = "needs CANDIDATE, a bundle, beside" if param.name in _OF_A_BUNDLE else "does not go with"
            raise UsageError(f"{param.opts[0]} {why} --command.")
    if candidate is not None and candidate.suffix == ".json":
        raise UsageError(f"'{candidate}' is a report, and --command measures; give a bundle, or leave it out.")
    from hwbench.targets.command import read_command

    other = read_command(baseline) if baseline is not None else None
    return Programs(read_command(program), other, candidate)
