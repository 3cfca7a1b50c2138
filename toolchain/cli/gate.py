"""edgewright gate."""

from __future__ import annotations

from pathlib import Path

import click

from hwbench import field
from hwbench.budget import parse_all
from hwbench.bundles import Evaluation, measure_bundles
from hwbench.field import Entry, Field, Status
from hwbench.gate import EXIT_CODES, Verdict, judge
from hwbench.measure import BLOCKS
from hwbench.progress import bar
from hwbench.report import Report
from hwbench.targets.local import LocalTarget
from runtimes.errors import UsageError
from toolchain.cli._options import (
    budget_option,
    duration_option,
    evaluation_of,
    evaluation_options,
    format_option,
    sampling_plan,
    show,
)


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
@duration_option
@format_option
@click.pass_context
def command(
    ctx: click.Context,
    candidate: Path,
    baseline: Path | None,
    budgets: tuple[str, ...],
    evaluation: Path | None,
    metric: str | None,
    duration: float | None,
    form: str,
) -> None:
    """Judge a model against budgets; made for CI.

    CANDIDATE and BASELINE are bundles, which are measured here and now with their runs interleaved, or
    report.json files, which are judged by the samples they hold. Accuracy is the bundle's own report's,
    unless --evaluation is given.

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
    paths = [path for path in (candidate, baseline) if path is not None]
    scored = evaluation_of(evaluation, metric)
    reports = _reports(paths, scored, duration)
    base = reports[1] if baseline is not None else None
    entries = [_entry("candidate", reports[0], "measured", judge(reports[0], limits, base))]
    if base is not None:
        entries.append(_entry("baseline", base, "kept"))
    results = field.of([Field(reports[0].model, reports[0].profile, limits, tuple(entries))])
    show(results, form)
    ctx.exit(EXIT_CODES[results.outcome])


def _reports(paths: list[Path], scored: Evaluation | None, duration: float | None) -> list[Report]:
    """A report per path: read from a .json, measured now for a bundle."""
    bundles = [path for path in paths if path.suffix != ".json"]
    measured: dict[Path, Report] = {}
    if bundles:
        with bar("Measuring", BLOCKS * len(bundles)) as tick:
            plan = sampling_plan(duration)
            measured = dict(zip(bundles, measure_bundles(bundles, LocalTarget(), plan, tick, scored)))
    return [measured[path] if path in measured else _stored(path) for path in paths]


def _stored(path: Path) -> Report:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise UsageError(f"There is no file '{path}'.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"'{path}' cannot be read: {error}.") from None
    fields = field.from_json(text, str(path)).fields
    if len(fields) != 1:
        raise UsageError(f"'{path}' holds {len(fields)} profiles; gate one bundle of them instead.")
    chosen = fields[0].chosen
    if chosen is None or chosen.report is None:
        raise UsageError(f"'{path}' holds no chosen candidate to judge.")
    return chosen.report


def _entry(name: str, report: Report, status: Status, verdicts: tuple[Verdict, ...] = ()) -> Entry:
    artifact = report.artifact
    return Entry(name, artifact.precision, artifact.runtime, status, "", report, verdicts)
