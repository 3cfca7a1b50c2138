"""edgewright history."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from hwbench.formats.charts.history_chart import plot as draw
from hwbench.measurements.quantities import QUANTITIES
from hwbench.results import history
from hwbench.results.history import Point
from hwbench.stats.change_points import change, levels, why_untold
from runtimes.errors import UsageError
from toolchain.cli._options import LOG_WIDTH


@click.command()
@click.argument("where", metavar="FILE|URL")
@click.option("--model", help="Of this model alone.")
@click.option(
    "--quantity", type=click.Choice(tuple(QUANTITIES)), default="p90", show_default=True, help="What to show."
)
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.png|.svg", help="Draw it as well.")
def command(where: str, model: str | None, quantity: str, plot: Path | None) -> None:
    """Show how a model's figures went from run to run on a device.

    FILE is what --history of edgewright gate was given: an SQLite file, or an SQLAlchemy URL. A change is where the
    level of the series moved by more than its noise.

    \b
    edgewright gate model.edge --budget 'p90<=20ms' --history runs.sqlite
    edgewright history runs.sqlite --model digits --plot digits.png
    """
    points = history.read(where, quantity, model)
    if not points:
        raise UsageError(f"'{where}' holds no {quantity}{f' of {model}' if model else ''}.")
    courses = [list(group) for _, group in itertools.groupby(sorted(points, key=_course), key=_course)]
    if plot is not None and len(courses) > 1:
        names = ", ".join(f"{group[0].model} for {group[0].profile} on {group[0].device}" for group in courses)
        raise UsageError(f"There are several courses ({names}), and a plot shows one; choose with --model.")
    if plot is not None:  # first: one that fails shows no table as if all were well
        draw(courses[0], plot)
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else LOG_WIDTH)
    for group in courses:
        console.print(_table(group))


def _course(point: Point) -> tuple[str, str, str]:
    return point.model, point.profile, point.device


def _table(points: list[Point]) -> Table:
    quantity = QUANTITIES[points[0].quantity]
    table = Table(title=f"{points[0].model} for {points[0].profile}, {points[0].device}", title_justify="left")
    for heading in ("when, UTC", quantity.heading, "interval", "source", "verdict", "change"):
        table.add_column(heading, no_wrap=heading != "interval")
    values = [point.value for point in points]
    if (why := why_untold(values)) is not None:
        table.caption, table.caption_justify = f"No change can be told: {why}.", "left"
    found = levels(values)
    changes = {after.start: change(before, after) for before, after in itertools.pairwise(found)}
    for index, point in enumerate(points):
        table.add_row(
            f"{point.at:%Y-%m-%d %H:%M:%S}",
            quantity.written(point.value),
            f"{quantity.written(point.low)} to {quantity.written(point.high)}",
            point.source_sha256[:8],
            point.outcome,
            changes.get(index, ""),
        )
    return table
