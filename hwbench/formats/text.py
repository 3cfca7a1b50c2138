"""For a terminal or a log: one table of figures per profile, and why each candidate was kept or dropped."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from io import StringIO

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hwbench.formats.sections import budget_lines, rate_rows, rows
from hwbench.formats.sections.headline import clean, headline, outcome
from hwbench.formats.sections.provenance import how, judged, layers, machines, search, warnings
from hwbench.formats.sections.rate_rows import RateTable
from hwbench.formats.sections.roofline_share import peaks, rooflines
from hwbench.formats.sections.rows import Row, columns, label
from hwbench.measurements.quantities import QUANTITIES
from hwbench.results.profile_results import ProfileResult, Results
from hwbench.stats.intervals import CONFIDENCE

_STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "selected": "bold"}


def render(results: Results, *, width: int | None = None, color: bool = False) -> str:
    """Plain text.

    Args:
        results: what to show.
        width: columns to fit in; by default the terminal's, 80 without one.
        color: whether the terminal shows colours.
    """
    console = Console(
        file=StringIO(),
        width=width or shutil.get_terminal_size().columns,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
    )
    with console.capture() as capture:
        for number, field in enumerate(results.profiles):
            if number:
                console.print()
            _print(console, field)
        if len(results.profiles) != 1:
            console.print(_text("\nAll profiles: ", _text(results.outcome, style=results.outcome)))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _print(console: Console, field: ProfileResult) -> None:
    table = rows.rows(field)
    notes = rows.notes(table)
    came_to = _text(outcome(field), style=outcome(field))
    console.print(_text(f"{field.model} for {field.profile}: ", came_to, style="bold"))
    console.print(_text(headline(field, table)))
    if any(row.entry.report is not None for row in table):
        wide = _figures(table, notes, intervals=True)
        needed = Measurement.get(console, console.options.update_width(1_000), wide).maximum
        console.print()
        console.print(wide if needed <= console.width else _figures(table, notes, intervals=False))
    _section(console, "", [(f"[{number}]", reason) for reason, number in notes.items()])
    served = rate_rows.table(field)
    if served is not None:
        console.print(_text("\nRates", style="bold"))
        console.print(Padding(_served(served), (0, 0, 0, 2)))
        console.print(Padding(_text(served.note, style="dim"), (0, 0, 0, 2)))
    _section(console, "Candidates", [(label(row.entry), *_why(row)) for row in table])
    _section(
        console,
        f"Budgets, {label(field.selected)}" if field.selected is not None else "Budgets",
        [(line.budget, line.outcome, line.evidence) for line in budget_lines.lines(field)],
    )
    _section(console, "Rooflines", rooflines(field))
    _section(console, "Warnings", [(warning,) for warning in warnings(field)])
    _section(console, "Caveats", [(caveat,) for caveat in field.caveats])
    _section(console, "Measured", _provenance(field))


def _figures(table: tuple[Row, ...], notes: dict[str, int], *, intervals: bool) -> Table:
    """Measured candidates; with intervals each takes two lines."""
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1), collapse_padding=True)
    grid.add_column("candidate", overflow="fold", vertical="top")
    names = columns(table)
    for quantity in names:
        head = _text(f"{rows.heading(quantity, table)}\n{QUANTITIES[quantity].unit}")
        grid.add_column(head, justify="right", no_wrap=True)
    for row in table:
        if row.entry.report is None:
            continue
        cells = [_text(row.value(quantity, notes)) for quantity in names]
        if intervals:
            cells = [
                _text(cell.plain, _text("\n" + row.interval(quantity), style="dim"))
                for cell, quantity in zip(cells, names)
            ]
        grid.add_row(_text(row.name, style=row.entry.status), *cells)
    return grid


def _served(served: RateTable) -> Table:
    """Throughput against latency, the largest rate that holds in bold."""
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for number, head in enumerate(served.heads):
        last = number == len(served.heads) - 1
        grid.add_column(_text(head if last else head.replace(" ", "\n", 1)), justify="left" if last else "right")
    for number, line in enumerate(served.lines):
        grid.add_row(*(_text(cell, style="bold" if number == served.best else "") for cell in line))
    return grid


def _why(row: Row) -> tuple[str, str, str]:
    return row.entry.status, row.verdict, row.entry.reason


def _provenance(field: ProfileResult) -> list[tuple[str, str]]:
    lines = [("on", machine) for machine in machines(field)]
    selected = field.selected
    lines += how(selected.report) if selected is not None and selected.report is not None else []
    lines += [("at most", peaks) for peaks in peaks(field)]
    lines += [("layers", layers(field))] if layers(field) else []
    lines += [("search", search(field))] if search(field) else []
    if lines:
        lines.append(("intervals", f"{CONFIDENCE:.0%} confidence; rate, memory and energy: range over processes"))
    lines += [("verdicts", judged(field))] if judged(field) else []
    return lines + ([("bundle", str(field.bundle))] if field.bundle else [])


def _section(console: Console, title: str, lines: Sequence[tuple[str, ...]]) -> None:
    if not lines:
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    for number in range(len(lines[0])):
        last = number == len(lines[0]) - 1
        grid.add_column(overflow="fold", min_width=None if last else 0, ratio=1 if last else None)
    for line in lines:
        grid.add_row(*(_text(cell, style=cell) for cell in line))
    console.print()
    if title:
        console.print(_text(title, style="bold"))
    console.print(Padding(grid, (0, 0, 0, 2 if title else 0)))


def _text(*parts: str | Text, style: str = "") -> Text:
    """Rich's text of strings as they are: no markup is read from them."""
    cleaned = [part if isinstance(part, Text) else clean(part) for part in parts]
    return Text.assemble(*cleaned, style=_STYLES.get(style, style if style in ("bold", "dim") else ""))
