"""The part of `edgewright gate` behind --self-test: running it, keeping it, and printing it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from runtimes.codec import encode
from runtimes.errors import UsageError, one_line
from toolchain.cli._target_option import open_target

if TYPE_CHECKING:
    from hwbench.budgets.budget import Budget
    from hwbench.gate.gate_self_test import SelfTest, Trials


_OPTIONS = frozenset({"bundle", "budgets", "max_time", "self_test", "gates", "form", "verbose", "target"})


def check_options(ctx: click.Context) -> None:
    """Refuse options that a self-test has no use for, so that none is ignored without a word.

    Raises:
        UsageError: the user gave one.
    """
    for param in ctx.command.params:
        name = param.name or ""
        if name not in _OPTIONS and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"A self-test has no use for {param.opts[0]}; leave it out.")


def run(bundle: Path, budgets: tuple[Budget, ...], gates: int, max_time_s: float, form: str, target: str) -> int:
    """Test the gate on a target, keep the result, print it, and return the exit code.

    Raises:
        UsageError: there are several budgets, the format is none that a self-test has, or see `self_test`.
    """
    if len(budgets) > 1:
        raise UsageError("A self-test takes one budget, such as p90<=+5%, or none; leave out the others.")
    if form not in ("text", "json"):
        raise UsageError(f"A self-test has no format '{form}'; choose text or json.")
    if bundle.suffix == ".json":
        raise UsageError(f"'{bundle}' is a report; a self-test measures a bundle.")
    from hwbench.budgets.outcome import EXIT_CODES
    from hwbench.formats.sections.provenance import describe
    from hwbench.gate import kept_self_test
    from hwbench.gate.gate_self_test import self_test
    from hwbench.progress import bar, say
    from hwbench.results.opened_bundle import open_bundle

    say(f"{2 * gates} gates of at most {max_time_s:g} s each, so {2 * gates * max_time_s / 60:.0f} minutes at most.")
    with (
        open_target(target, open_bundle(bundle).manifest.profile) as there,
        bar(f"Self-test with {bundle.name}", 2 + 2 * gates) as tick,
    ):
        machine = there.machine
        result = self_test(bundle, budgets[0] if budgets else None, gates, max_time_s, there, tick)
    kept_self_test.keep(result, machine)
    if form == "json":
        click.echo(json.dumps({"outcome": result.outcome, **encode(result)}, indent=1))
    else:
        for line in _lines(result, bundle, describe(machine)):
            click.echo(line)
    return EXIT_CODES[result.outcome]


def _lines(result: SelfTest, bundle: Path, machine: str) -> Iterable[str]:
    yield f"Self-test of the gate with {one_line(result.model)}: {result.outcome}"
    yield f"{result.budget} against itself, at most {result.max_time_s:g} s a gate, on {one_line(machine)}"
    yield ""
    interval = f"{'95% interval':>18}"
    yield f"{'model':<16}{'gates':>6}{'wrong':>7}{interval}{'undecided':>11}{interval}{'s a gate':>10}"
    yield _row("unchanged", result.unchanged)
    yield _row(f"{result.slowdown:+.1%} slower", result.slowed)
    yield ""
    if result.recommended is None or result.smallest is None:
        yield "No budget up to +50% can be held on this machine; stop other programs, or give more --max-time."
        return
    quantity = result.budget.partition("<")[0]
    yield (
        f"The smallest change of {quantity} that this machine holds at 1% error and 95% power in "
        f"{result.max_time_s:g} s is {result.smallest:+.2%}, by {result.rounds} rounds of the unchanged model."
    )
    words = ["edgewright", "gate", str(bundle), "--baseline", "RELEASED.edge", "--budget", result.recommended]
    yield one_line(f"For CI: {shlex.join([*words, '--max-time', f'{result.max_time_s:g}s'])}")


def _row(name: str, trials: Trials) -> str:
    wrong, undecided = trials.error, trials.undecided
    return (
        f"{name:<16}{trials.gates:>6}{trials.wrong:>7}{f'{wrong.low:.1%} to {wrong.high:.1%}':>18}"
        f"{trials.inconclusive:>11}{f'{undecided.low:.1%} to {undecided.high:.1%}':>18}{trials.mean_s:>10.1f}"
    )
