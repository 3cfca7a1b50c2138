"""The command `edgewright history`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwbench.measurements.quantities import QUANTITIES, quantity_of, split
from runtimes import plugins
from runtimes.errors import UsageError, one_line
from toolchain.cli._input_files import check_keeps_inputs
from toolchain.cli._show_results import LOG_WIDTH

if TYPE_CHECKING:
    from rich.table import Table

    from hwbench.results.history import Point


def _quantity(_: click.Context, __: click.Parameter, name: str) -> str:
    if split(name)[0] not in QUANTITIES:
        raise UsageError(f"Unknown quantity '{name}'; choose from {', '.join(QUANTITIES)}.")
    return name


@click.command()
@click.argument("where", metavar="FILE|URL")
@click.option("--model", help="Show this model alone.")
@click.option(
    "--quantity",
    default="p90",
    show_default=True,
    metavar="NAME",
    callback=_quantity,
    help=f"The quantity to show: {', '.join(QUANTITIES)}; of further metrics "
    "accuracy[METRIC] or accuracy_drop[METRIC].",
)
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.png|.svg", help="Draw a chart as well.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page with every series as well.")
@click.pass_context
def command(
    ctx: click.Context, where: str, model: str | None, quantity: str, plot: Path | None, html: Path | None
) -> None:
    """Show how a model's figures changed from run to run on a device.

    FILE is the history that edgewright gate --history wrote: an SQLite file, or an SQLAlchemy URL. A change is a point
    where the level of the series moved by more than its noise; it names the commits since the run before.

    \b
    edgewright gate model.edge --budget 'p90<=20ms' --history runs.sqlite
    edgewright history runs.sqlite --model digits --plot digits.png
    edgewright history runs.sqlite --html history.html
    """
    check_keeps_inputs(ctx, [plot] if plot is not None else [], "plot", replaceable=("html",))
    check_keeps_inputs(ctx, [html] if html is not None else [], "html", replaceable=("plot",))
    if plot is not None and plot == html:
        raise UsageError(f"'{plot}' is written twice; give another --plot or --html.")
    from rich.console import Console

    from hwbench.formats.charts.history_chart import plot as draw
    from hwbench.results import history
    from hwbench.results.series import by_device

    points = history.read(where, quantity, model)
    if not points:
        raise UsageError(f"'{where}' holds no {quantity}{f' of {model}' if model else ''}.")
    series = by_device(points)
    if plot is not None and len(series) > 1:
        names = ", ".join(f"{group[0].model} for {group[0].profile} on {group[0].device}" for group in series)
        raise UsageError(f"There are several series ({names}), and a plot shows one; choose one with --model.")
    if plot is not None:  # first, so that a plot that fails leaves no table on stdout
        draw(series[0], plot)
    if html is not None:
        _write_page(series, html)
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else LOG_WIDTH)
    for group in series:
        console.print(_table(group))


def _write_page(series: list[list[Point]], html: Path) -> None:
    with plugins.optional_import("A page"):
        from hwbench.formats.charts import history_page
    from runtimes.files import replacing
    from toolchain.output_folder import output_file

    with output_file(html, "--html", make_folder=False), replacing(html) as beside:
        beside.write_text(history_page.render(series), encoding="utf-8")


def _table(points: list[Point]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from hwbench.results.series import changes
    from hwbench.stats.change_points import why_undetectable
    from hwbench.terminal_table import add_row

    quantity, metric = quantity_of(points[0].quantity), split(points[0].quantity)[1]
    title = Text(one_line(f"{points[0].model} for {points[0].profile}, {points[0].device}"))
    table = Table(title=title, title_justify="left")
    for heading in ("when, UTC", f"{metric} {quantity.heading}".strip(), "interval", "source", "verdict", "change"):
        table.add_column(heading, no_wrap=heading != "interval")
    values = [point.value for point in points]
    if (why := why_undetectable(values)) is not None:
        table.caption, table.caption_justify = f"No change can be told: {why}.", "left"
    found = {each.index: str(each) for each in changes(points)[1]}
    for index, point in enumerate(points):
        add_row(
            table,
            f"{point.at:%Y-%m-%d %H:%M:%S}",
            quantity.written(point.value),
            f"{quantity.written(point.low)} to {quantity.written(point.high)}",
            point.source_sha256[:8],
            point.outcome,
            found.get(index, ""),
        )
    return table
