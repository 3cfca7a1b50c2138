"""The command `edgewright history`."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwbench.measurements.quantities import QUANTITIES, quantity_of, split
from runtimes.errors import UsageError, one_line
from toolchain.cli._input_files import check_keeps_inputs
from toolchain.cli._show_results import LOG_WIDTH

if TYPE_CHECKING:
    from rich.table import Table

    from hwbench.results.history import Point
    from hwbench.stats.change_points import Level


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
@click.pass_context
def command(ctx: click.Context, where: str, model: str | None, quantity: str, plot: Path | None) -> None:
    """Show how a model's figures changed from run to run on a device.

    FILE is the history that edgewright gate --history wrote: an SQLite file, or an SQLAlchemy URL. A change is a point
    where the level of the series moved by more than its noise.

    \b
    edgewright gate model.edge --budget 'p90<=20ms' --history runs.sqlite
    edgewright history runs.sqlite --model digits --plot digits.png
    """
    check_keeps_inputs(ctx, [plot] if plot is not None else [], "plot")
    from rich.console import Console

    from hwbench.formats.charts.history_chart import plot as draw
    from hwbench.results import history

    points = history.read(where, quantity, model)
    if not points:
        raise UsageError(f"'{where}' holds no {quantity}{f' of {model}' if model else ''}.")
    series = [list(group) for _, group in itertools.groupby(sorted(points, key=_series), key=_series)]
    if plot is not None and len(series) > 1:
        names = ", ".join(f"{group[0].model} for {group[0].profile} on {group[0].device}" for group in series)
        raise UsageError(f"There are several series ({names}), and a plot shows one; choose one with --model.")
    if plot is not None:  # first, so that a plot that fails leaves no table on stdout
        draw(series[0], plot)
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else LOG_WIDTH)
    for group in series:
        console.print(_table(group))


def _series(point: Point) -> tuple[str, str, str]:
    return point.model, point.profile, point.device


def _table(points: list[Point]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from hwbench.stats.change_points import levels, why_undetectable
    from hwbench.terminal_table import add_row

    quantity, metric = quantity_of(points[0].quantity), split(points[0].quantity)[1]
    title = Text(one_line(f"{points[0].model} for {points[0].profile}, {points[0].device}"))
    table = Table(title=title, title_justify="left")
    for heading in ("when, UTC", f"{metric} {quantity.heading}".strip(), "interval", "source", "verdict", "change"):
        table.add_column(heading, no_wrap=heading != "interval")
    values = [point.value for point in points]
    if (why := why_undetectable(values)) is not None:
        table.caption, table.caption_justify = f"No change can be told: {why}.", "left"
    found = levels(values)
    changes = {after.start: _change(points, before, after) for before, after in itertools.pairwise(found)}
    for index, point in enumerate(points):
        add_row(
            table,
            f"{point.at:%Y-%m-%d %H:%M:%S}",
            quantity.written(point.value),
            f"{quantity.written(point.low)} to {quantity.written(point.high)}",
            point.source_sha256[:8],
            point.outcome,
            changes.get(index, ""),
        )
    return table


def _change(points: list[Point], before: Level, after: Level) -> str:
    """Describe a change of level, and name the commits between the runs on both sides of it."""
    from hwbench.results.current_commit import commit_range
    from hwbench.stats.change_points import change

    commits = commit_range(points[after.start - 1].commit, points[after.start].commit)
    return f"{change(before, after)} in {commits}" if commits else change(before, after)
