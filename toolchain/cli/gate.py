"""edgewright gate."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import click

from hwbench.budgets import energy_budgets
from hwbench.budgets.baseline import judge_report
from hwbench.budgets.budget import Budget, parse_all
from hwbench.budgets.verdicts import EXIT_CODES, Outcome, Verdict
from hwbench.gate.sequential_gate import MAX_TIME_S, Gated, GatePlan, gate_bundle, sampling_plan
from hwbench.machine.identity import this_machine
from hwbench.measurements.quantities import QUANTITIES
from hwbench.measurements.report import Report
from hwbench.progress import clock, say
from hwbench.results import profile_results
from hwbench.results.profile_results import CandidateResult, ProfileResult, Results, Status
from hwbench.targets.local import LocalTarget
from runtimes import plugins
from runtimes.errors import UsageError
from runtimes.files import replacing
from toolchain.cli._options import (
    FORMATS,
    budget_option,
    duration_option,
    evaluation_of,
    evaluation_options,
    format_option,
    show,
    verbose_option,
)
from toolchain.output_folder import output_file

_INCONCLUSIVE: dict[str, Outcome] = {"fail": "fail", "pass": "pass", "report": "inconclusive"}


@click.command()
@click.argument("candidate", type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="BASELINE",
    help="A bundle or a report.json to compare with, for budgets such as p90<=+5%.",
)
@budget_option
@evaluation_options
@click.option(
    "--max-time",
    type=click.FloatRange(min=0.1),
    default=MAX_TIME_S,
    show_default=True,
    metavar="SECONDS",
    help="When to give up and say inconclusive.",
)
@click.option(
    "--inconclusive",
    type=click.Choice(tuple(_INCONCLUSIVE)),
    default="report",
    show_default=True,
    help="The exit code of an inconclusive verdict: 1, 0, or 3.",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT=FILE",
    help="Write the result there as well, as in junit=gate.xml. Repeatable.",
)
@click.option(
    "--history",
    envvar="EDGEWRIGHT_HISTORY",
    metavar="FILE|URL",
    help="Add the figures to this history, an SQLite file or an SQLAlchemy URL; edgewright history shows it.",
)
@duration_option(sampling_plan())
@format_option
@verbose_option
@click.pass_context
def command(
    ctx: click.Context,
    candidate: Path,
    baseline: Path | None,
    budgets: tuple[str, ...],
    evaluation: Path | None,
    metric: str | None,
    max_time: float,
    inconclusive: str,
    outputs: tuple[str, ...],
    history: str | None,
    duration: float | None,
    form: str,
    verbose: bool,
) -> None:
    """Judge a model against budgets; made for CI.

    CANDIDATE and BASELINE are bundles, which are measured here and now with their runs interleaved, or
    report.json files, which are judged by the samples they hold; a report's baseline is a report. Accuracy
    is the bundle's own report's, unless --evaluation is given.

    Exit codes: 0 all budgets are met, 1 one is broken, 2 an error, 3 inconclusive (never a pass).

    \b
    edgewright gate model.edge --budget 'p90<=10ms' --budget 'accuracy_drop<=0.01'
    edgewright gate new.edge --baseline old.edge --budget 'p90<=+5%'
    """
    limits = parse_all(budgets)
    if not limits:
        raise UsageError("There is no budget to judge by; give one, as in --budget 'p90<=10ms'.")
    if any(limit.relative for limit in limits) and baseline is None:
        raise UsageError(
            f"Budget '{next(b.text for b in limits if b.relative)}' compares with a baseline; give --baseline."
        )
    scored, files = evaluation_of(evaluation, metric), [_output(text) for text in outputs]
    with contextlib.ExitStack() as stack:
        for _, file in files:
            stack.enter_context(output_file(file, "--output", make_folder=False))
        if history is not None:
            with plugins.optional_import("A history"):
                from hwbench.results.history import prepared, record
            stack.enter_context(prepared(history))
        caveats: tuple[str, ...] = ()
        if candidate.suffix == ".json":
            gated = _stored_verdicts(candidate, baseline, limits)
        else:
            caveats = energy_budgets.unmetered_budgets(limits, this_machine())
            for doubt in caveats:
                say(doubt)
            other = _stored(baseline) if baseline is not None and baseline.suffix == ".json" else baseline
            plan = GatePlan(max_time, duration)
            with clock(f"Gating {candidate.name}", max_time) as tick:
                gated = gate_bundle(candidate, other, limits, LocalTarget(), plan, tick, scored)
        results = _results(gated, limits, (*caveats, *_caveats(candidate, baseline, limits)))
        for output_form, file in files:
            text = plugins.load("hwbench.formats", output_form, "format").render(results)
            with replacing(file) as beside:
                beside.write_text(text, encoding="utf-8")
        show(results, form, verbose=verbose)
        if history is not None:  # last: a database that fails by now takes no result along
            record(history, results)
    outcome = results.outcome
    ctx.exit(EXIT_CODES[_INCONCLUSIVE[inconclusive] if outcome == "inconclusive" else outcome])


def _output(text: str) -> tuple[str, Path]:
    form, equals, file = text.partition("=")
    if form not in FORMATS or not equals or not file:
        raise UsageError(f"--output '{text}' should be FORMAT=FILE, FORMAT one of {', '.join(FORMATS)}.")
    return form, Path(file)


def _stored_verdicts(candidate: Path, baseline: Path | None, limits: tuple[Budget, ...]) -> Gated:
    """Judge a report by the samples it holds; a baseline is a report, too."""
    report = _stored(candidate)
    if baseline is not None and baseline.suffix != ".json":
        if not baseline.exists():
            raise UsageError(f"There is no file '{baseline}'.")
        raise UsageError(
            f"'{candidate}' is a report, and '{baseline}' a bundle that would be measured now; give the candidate's "
            "bundle, or a report.json as --baseline."
        )
    other = _stored(baseline) if baseline is not None else None
    return Gated(report, other, judge_report(report, limits, other))


def _stored(path: Path) -> Report:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise UsageError(f"There is no file '{path}'.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"'{path}' cannot be read: {error}.") from None
    fields = profile_results.from_json(text, str(path)).profiles
    if len(fields) != 1:
        raise UsageError(f"'{path}' holds {len(fields)} profiles; gate one bundle of them instead.")
    selected = fields[0].selected
    if selected is None or selected.report is None:
        raise UsageError(f"'{path}' holds no chosen candidate to judge.")
    return dataclasses.replace(selected.report, candidate=selected.report.candidate or selected.name)


def _caveats(candidate: Path, baseline: Path | None, limits: tuple[Budget, ...]) -> tuple[str, ...]:
    """What a comparison with figures of another time does not say."""
    of_machine = any(limit.relative and QUANTITIES[limit.quantity].of_machine for limit in limits)
    if baseline is None or baseline.suffix != ".json" or not of_machine:
        return ()
    which = "The two reports" if candidate.suffix == ".json" else "The candidate and the baseline's report"
    return (
        f"{which} were measured at different times, and their runs not interleaved: what changed on the machine in "
        "between counts as a change of the model. Two bundles are measured side by side.",
    )


def _results(gated: Gated, limits: tuple[Budget, ...], caveats: tuple[str, ...]) -> Results:
    candidate, baseline = gated.candidate, gated.baseline
    if baseline is None:
        entries = [_entry(candidate.candidate, candidate, "measured", gated.verdicts)]
    else:  # the two may share one
        entries = [
            _entry(f"{candidate.candidate} (candidate)", candidate, "measured", gated.verdicts),
            _entry(f"{baseline.candidate} (baseline)", baseline, "eligible"),
        ]
    return profile_results.of([ProfileResult(candidate.model, candidate.profile, limits, tuple(entries), caveats)])


def _entry(name: str, report: Report, status: Status, verdicts: tuple[Verdict, ...] = ()) -> CandidateResult:
    artifact = report.artifact
    return CandidateResult(name, artifact.precision, artifact.runtime, status, "", report, verdicts)
