"""The command `edgewright gate`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from click.core import ParameterSource

from runtimes import plugins
from runtimes.errors import UsageError
from toolchain.cli._gate_programs import program_options, read_programs
from toolchain.cli._input_files import check_keeps_inputs
from toolchain.cli._option_types import FileOrName, Time
from toolchain.cli._options import (
    FORMATS,
    budget_option,
    check_exists,
    confidence_option,
    duration_option,
    format_option,
    shape_option,
    verbose_option,
)
from toolchain.cli._sample_options import check_evaluation, evaluation_of, evaluation_options
from toolchain.cli._show_results import show
from toolchain.cli._target_option import is_board, open_target, target_option

if TYPE_CHECKING:
    from hwbench.budgets.budget import Budget


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), metavar="[CANDIDATE]", required=False)
@program_options
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="BASELINE",
    help="A bundle or a report.json to compare with, for budgets such as p90<=+5%.",
)
@click.option(
    "--baseline-python",
    type=click.Path(path_type=Path),
    metavar="PYTHON",
    help="Another environment's interpreter that runs the baseline: CANDIDATE itself, without --baseline.",
)
@budget_option
@confidence_option(0.99)
@click.option(
    "--family-error",
    type=click.FloatRange(0, 0.5, min_open=True),
    metavar="P",
    help="The probability of a wrong verdict of the whole run at its limits, which its budgets share; for --confidence "
    "of each.  [default: 0.01 over the budgets on time]",
)
@click.option(
    "--family-size",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="The number of gates, as of a CI job per device, that share --family-error.",
)
@evaluation_options
@click.option(
    "--max-time",
    type=Time(0.1),
    default="60s",
    show_default=True,
    metavar="TIME",
    help="The longest time that the gate measures, as in 90s or 5m; after it, the verdict is inconclusive.",
)
@click.option(
    "--inconclusive",
    type=click.Choice(("fail", "pass", "report")),
    default="report",
    show_default=True,
    help="The exit code of an inconclusive verdict: 1, 0, or 3.",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT=FILE",
    help="Write the result to a file as well, as in junit=gate.xml. Repeatable.",
)
@click.option(
    "--history",
    type=FileOrName(),
    envvar="EDGEWRIGHT_HISTORY",
    metavar="FILE|URL",
    help="Add the figures to this history, an SQLite file or an SQLAlchemy URL; edgewright history shows it.",
)
@click.option(
    "--ratchet",
    is_flag=True,
    help="Tighten limits to what three runs in a row of --history have shown, and 5%; they never widen again.",
)
@click.option(
    "--self-test",
    is_flag=True,
    help="Test the gate itself on this machine: CANDIDATE against itself, and slowed by extra work.",
)
@click.option(
    "--gates",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="The number of gates of each kind in a self-test.",
)
@duration_option("0.1, or 1,000 inferences")
@shape_option
@target_option("measures CANDIDATE and BASELINE")
@format_option
@verbose_option
@click.pass_context
def command(
    ctx: click.Context,
    bundle: Path | None,
    program: str | None,
    baseline_command: str | None,
    baseline: Path | None,
    baseline_python: Path | None,
    budgets: tuple[Budget, ...],
    confidence: float,
    family_error: float | None,
    family_size: int,
    evaluation: Path | None,
    metrics: tuple[str, ...],
    max_time: float,
    inconclusive: str,
    outputs: tuple[str, ...],
    history: str | None,
    ratchet: bool,
    self_test: bool,
    gates: int,
    duration: float | None,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    target: str,
    form: str,
    verbose: bool,
) -> None:
    """Judge a model against budgets; made for CI.

    CANDIDATE and BASELINE are bundles, which are measured now with their runs interleaved, or report.json files, which
    are judged by the samples they hold; a report's baseline is a report. Accuracy is taken from the bundle's own
    report, unless --evaluation is given. With a baseline, accuracy_drop is the loss against the baseline on the same
    samples; without one, against the source.

    Exit codes: 0 all budgets are met, 1 one is broken, 2 an error, 3 inconclusive (never a pass).

    \b
    edgewright gate model.edge --budget 'p90<=10ms' --budget 'accuracy_drop<=0.01'
    edgewright gate new.edge --baseline old.edge --budget 'p90<=+5%'
    edgewright gate new.edge --baseline old.edge --budget 'instructions<=+1%' --budget 'placement>=95%'
    edgewright gate model.edge --budget 'p90@L=64<=10ms' --budget 'p90@L=256<=20ms'
    edgewright gate model.edge --baseline-python old/bin/python --budget 'p90<=+5%'
    edgewright gate model.edge --budget 'p90<=20ms' --history runs.sqlite --ratchet
    edgewright gate model.edge --self-test --max-time 20s
    edgewright gate --command './run_model {runs}' --budget 'p90<=10ms'
    edgewright gate model.edge --budget 'p90<=20ms' --target ssh://pi@raspberrypi.local
    """
    programs = read_programs(ctx, bundle, program, baseline_command)
    candidate = programs.path if programs is not None else cast("Path", bundle)
    if self_test:
        from toolchain.cli import _gate_self_test

        _gate_self_test.check_options(ctx)
        check_exists(candidate)
        ctx.exit(_gate_self_test.run(candidate, budgets, gates, max_time, form, target))
    if ctx.get_parameter_source("gates") is ParameterSource.COMMANDLINE:
        raise UsageError("--gates counts the gates of a self-test; add --self-test, or leave it out.")
    if is_board(target) and (baseline_python is not None or candidate.suffix == ".json"):
        what = "--baseline-python is of this machine" if baseline_python is not None else f"'{candidate}' is a report"
        raise UsageError(f"{what}, and {target} measures bundles; leave out one of the two.")
    if baseline_python is not None:
        baseline = _in_other_python(candidate, baseline, baseline_python)
    if not budgets:
        raise UsageError("There is no budget to judge by; give one, as in --budget 'p90<=10ms'.")
    if any(limit.relative for limit in budgets) and baseline is None and baseline_command is None:
        raise UsageError(
            f"Budget '{next(b.text for b in budgets if b.relative)}' compares with a baseline; give --baseline."
        )
    if shapes and candidate.suffix == ".json":
        raise UsageError(f"'{candidate}' is a report, whose samples have their shapes; --shape is for a bundle.")
    if ratchet and (history is None or programs is not None or candidate.suffix == ".json"):
        raise UsageError("--ratchet follows what a bundle has shown here earlier; give --history and a bundle.")
    _check_family(ctx, family_error, candidate)
    files = [_output(text) for text in outputs]
    check_evaluation(evaluation, metrics)
    for path in filter(None, (candidate, baseline)):
        check_exists(path)
    check_keeps_inputs(ctx, [file for _, file in files], "outputs", "--output")
    from hwbench.budgets import energy_budgets
    from hwbench.budgets.family_error import FamilyError
    from hwbench.budgets.outcome import EXIT_CODES
    from hwbench.gate import layer_attribution
    from hwbench.gate.gate import GatePlan, gate_bundle
    from hwbench.machine.identity import this_machine
    from hwbench.progress import clock, say
    from hwbench.results.opened_bundle import open_bundle
    from hwbench.targets.other_python import OtherPython
    from runtimes.files import replacing
    from toolchain.cli import _gate_reports as reports
    from toolchain.output_folder import output_file

    scored = evaluation_of(evaluation, metrics)
    with contextlib.ExitStack() as stack:
        for _, file in files:
            stack.enter_context(output_file(file, "--output", make_folder=False))
        if history is not None:
            with plugins.optional_import("A history"):
                from hwbench.results.current_commit import current_commit
                from hwbench.results.history import ensure_database, record
            stack.enter_context(ensure_database(history))
        caveats: tuple[str, ...] = ()
        moved: tuple[str, ...] = ()
        machine = None
        error = FamilyError.of(family_error, budgets, family_size) if family_error is not None else None
        said = (error.describe(family_size),) if error is not None else ()
        plan = GatePlan(max_time, duration, confidence=confidence, shapes=shapes, error=error)
        if candidate.suffix == ".json":
            gated = reports.judge_stored(candidate, baseline, budgets, confidence)
        elif programs is not None:
            caveats = said
            with clock(f"Gating {programs.candidate.name}", max_time) as tick:
                gated = programs.gate(budgets, plan, tick, scored)
        else:
            main = stack.enter_context(open_target(target, open_bundle(candidate).manifest.profile))
            machine = main.machine
            if ratchet and history is not None:
                budgets, moved = reports.tightened(budgets, history, candidate, machine)
            caveats = energy_budgets.unmetered_budgets(budgets, machine)
            for caveat in caveats:
                say(caveat)
            other = reports.read(baseline) if baseline is not None and baseline.suffix == ".json" else baseline
            there = OtherPython(python=baseline_python.absolute()) if baseline_python is not None else None
            caveats += said
            with clock(f"Gating {candidate.name}", max_time) as tick:
                gated = gate_bundle(candidate, other, budgets, main, plan, tick, scored, there)
                if isinstance(other, Path):
                    gated = layer_attribution.explain(gated, (candidate, other), (main, there or main), plan, tick)
            if there is not None and baseline is not None:
                caveats = reports.compared_outputs(candidate, baseline, main, there) + caveats
        caveats += (f"Measured on {target}.",) if is_board(target) else ()
        caveats += reports.disagreement(gated)
        caveats += moved + reports.caveats(candidate, baseline, budgets) + reports.environments(gated)
        asked = confidence if error is None else 1 - error.of_passing
        results = reports.results(gated, budgets, caveats, asked, reports.self_tested(machine or this_machine()))
        results = reports.of_file(results, candidate if programs is None else programs.bundle)
        for output_form, file in files:
            text = plugins.load("hwbench.formats", output_form, "format").render(results)
            with replacing(file) as beside:
                beside.write_text(text, encoding="utf-8")
        show(results, form, verbose=verbose)
        if history is not None:  # last, so that a database that fails now loses no result
            record(history, results, commit=current_commit())
    outcome = results.outcome
    if outcome == "inconclusive" and inconclusive != "report":
        outcome = "pass" if inconclusive == "pass" else "fail"
    ctx.exit(EXIT_CODES[outcome])


def _check_family(ctx: click.Context, family_error: float | None, candidate: Path) -> None:
    """Refuse options that say nothing without --family-error, or something else.

    Raises:
        UsageError: one was given.
    """
    given = {
        name for name in ("family_size", "confidence") if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    if family_error is None and "family_size" in given:
        raise UsageError("--family-size counts the gates that share --family-error; add it, or leave both out.")
    if family_error is not None and "confidence" in given:
        raise UsageError("--family-error sets the confidence of every verdict; leave out --confidence.")
    if family_error is not None and candidate.suffix == ".json":
        raise UsageError(f"'{candidate}' is a report, whose intervals have 95%; --family-error is for a bundle.")


def _in_other_python(candidate: Path, baseline: Path | None, python: Path) -> Path:
    """Choose the bundle that another interpreter runs.

    Raises:
        UsageError: there is no such interpreter, or one of the two files is a report.
    """
    chosen = baseline or candidate
    if ".json" in (candidate.suffix, chosen.suffix):
        raise UsageError("--baseline-python runs a bundle, and a report.json holds none; give two bundles, or one.")
    if not os.access(python, os.X_OK) or python.is_dir():
        raise UsageError(f"--baseline-python '{python}' is no program; give an interpreter, as in old/bin/python.")
    return chosen


def _output(text: str) -> tuple[str, Path]:
    form, equals, file = text.partition("=")
    if form not in FORMATS or not equals or not file:
        raise UsageError(
            f"--output '{text}' cannot be read; write it as FORMAT=FILE, where FORMAT is one of {', '.join(FORMATS)}."
        )
    return form, Path(file)
