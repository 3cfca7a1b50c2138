"""The command `edgewright reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtimes.errors import UsageError
from toolchain.cli._option_types import Time
from toolchain.cli._options import check_exists, format_option, verbose_option
from toolchain.cli._show_results import show

if TYPE_CHECKING:
    from hwbench.budgets.budget import Budget
    from hwbench.measurements.report import Report
    from hwbench.results.profile_results import ProfileResult

_QUANTITIES = ("p50", "p90", "p95", "p99", "throughput")


@click.command()
@click.argument("report", type=click.Path(path_type=Path))
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    metavar="FILE.edge",
    help="The bundle that the report is of; the path that the report names, if not given.",
)
@click.option(
    "--quantity",
    "quantities",
    multiple=True,
    type=click.Choice(_QUANTITIES),
    default=("p90",),
    show_default=True,
    help="The published figure to run again. Repeatable.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1000),
    default=5.0,
    show_default=True,
    metavar="PERCENT",
    help="How much worse than the published interval's worse end a figure may be here, and still hold.",
)
@click.option(
    "--max-time",
    type=Time(0.1),
    default="60s",
    show_default=True,
    metavar="TIME",
    help="The longest time to measure for, as in 90s or 5m; after it, the answer is inconclusive.",
)
@format_option
@verbose_option
@click.pass_context
def command(
    ctx: click.Context,
    report: Path,
    bundle: Path | None,
    quantities: tuple[str, ...],
    tolerance: float,
    max_time: float,
    form: str,
    verbose: bool,
) -> None:
    """Run published figures again, and say whether they hold here.

    REPORT is a report.json of one profile. The bundle has to be the one that it was measured with. A figure holds if it
    is not worse here than what was published, by the statistics of edgewright gate.

    Exit codes: 0 the figures hold, 1 one does not, 2 an error, 3 inconclusive.

    \b
    edgewright reproduce out/report.json --bundle model.edge
    """
    check_exists(report)
    from hwbench.budgets.outcome import EXIT_CODES
    from hwbench.formats.sections.provenance import describe
    from hwbench.gate.gate import GatePlan, gate_bundle
    from hwbench.machine.identity import this_machine
    from hwbench.progress import clock
    from hwbench.results import profile_results
    from hwbench.targets.local import LocalTarget
    from toolchain.cli import _gate_reports as reports

    published = reports.read(report)
    (result,) = profile_results.from_json(report.read_bytes(), str(report)).profiles
    found = bundle or result.bundle
    if found is None:
        raise UsageError(f"'{report}' names no bundle; give it with --bundle.")
    check_exists(found)
    _check_same(found, result, published, report)
    budgets = tuple(_budget(published, name, tolerance / 100, report) for name in dict.fromkeys(quantities))
    with clock(f"Reproducing {found.name}", max_time) as tick:
        gated = gate_bundle(found, None, budgets, LocalTarget(), GatePlan(max_time), tick)
    there, here = describe(published.machine), describe(this_machine())
    caveats = (f"The figures were published for {there}.",) if there != here else ()
    results = reports.results(gated, budgets, caveats, GatePlan.confidence, reports.self_tested(this_machine()))
    show(results, form, verbose=verbose)
    ctx.exit(EXIT_CODES[results.outcome])


def _check_same(bundle: Path, result: ProfileResult, published: Report, report: Path) -> None:
    """Check that a report is of a bundle: by the file's digest, or for a build's own report by the artifact.

    Raises:
        UsageError: it is of another one.
    """
    from runtimes.bundles.bundle import Bundle

    with Bundle(bundle) as opened:
        opened.check()
        ours, digest = opened.manifest.artifact, opened.file_sha256()
    theirs = published.artifact
    same = digest == result.bundle_sha256
    if not result.bundle_sha256:
        key = ("source_sha256", "size_bytes", "precision", "runtime", "settings")
        same = all(getattr(ours, name) == getattr(theirs, name) for name in key)
    if not same:
        raise UsageError(f"'{report}' is not of '{bundle}', but of another bundle; give the one that it is of.")


def _budget(published: Report, quantity: str, tolerance: float, report: Path) -> Budget:
    """Write what was published as a limit: the worse end of the interval, with the tolerance.

    Raises:
        UsageError: the report has no such figure.
    """
    from hwbench.budgets import budget
    from hwbench.measurements.report import NotMeasuredError

    try:
        figure = published.estimate(quantity)
    except NotMeasuredError as reason:
        raise UsageError(f"'{report}' has no {quantity} to reproduce: {reason}.") from None
    if quantity == "throughput":
        return budget.parse(f"throughput>={figure.low / (1 + tolerance):.6f}/s")
    return budget.parse(f"{quantity}<={figure.high * (1 + tolerance):.6f}ms")
