"""Text for a terminal or a log: the most important facts in five lines, then figures, candidates and evidence."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from io import StringIO

from rich import box
from rich.cells import cell_len
from rich.columns import Columns
from rich.console import Console, RenderableType
from rich.console import Group as RenderGroup
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hwbench.formats import _escape
from hwbench.formats.sections import budget_lines, rate_rows, rows
from hwbench.formats.sections.forecast_lines import errors as forecast_errors
from hwbench.formats.sections.forecast_lines import forecasts
from hwbench.formats.sections.headline import outcome, reference, selected_row, verdicts
from hwbench.formats.sections.notable_rows import Group, groups, notable
from hwbench.formats.sections.provenance import gate_note, layers, machines, method_facts, search, warnings
from hwbench.formats.sections.rate_rows import RateTable
from hwbench.formats.sections.roofline_share import peaks, rooflines
from hwbench.formats.sections.rows import Row, columns, label
from hwbench.formats.sections.summary import summary
from hwbench.layers import change_wording
from hwbench.measurements.quantities import quantity_of
from hwbench.results.profile_results import ProfileResult, Results
from hwbench.stats.intervals import CONFIDENCE
from hwbench.wording import count

_GAP = 2  # spaces between columns
_ROOM = 40  # columns that a sentence needs beside others
_STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "selected": "bold"}


def render(results: Results, *, width: int | None = None, color: bool = False, verbose: bool = False) -> str:
    """Write plain text.

    Args:
        results: the results to show.
        width: columns to fit in; by default the terminal's, 80 without one.
        color: whether the terminal shows colours.
        verbose: show every candidate; by default those without figures are grouped by reason.
    """
    console = Console(
        file=StringIO(),
        width=width or shutil.get_terminal_size().columns,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
    )
    with console.capture() as capture:
        for number, result in enumerate(results.profiles):
            if number:
                console.print()
            _print(console, result, verbose)
        if len(results.profiles) != 1:
            console.print()
            console.print(_text("All profiles: ", _text(results.outcome, style=results.outcome)))
    return _escape.log("\n".join(line.rstrip() for line in capture.get().split("\n")).rstrip("\n")) + "\n"


def _print(console: Console, result: ProfileResult, verbose: bool) -> None:
    table = rows.rows(result)
    measured = tuple(row for row in table if row.candidate.report is not None)
    shown = measured if verbose else notable(table)
    notes = rows.notes(shown)
    outcome_text = _text(outcome(result), style=outcome(result))
    console.print(_text(f"{result.model} for {result.profile}: ", outcome_text, style="bold"))
    _print_lines(console, summary(result, table))
    if shown:
        console.print()
        console.print(_figures(console, shown, notes))
    _section(console, "", [(f"[{number}]", reason) for reason, number in notes.items()])
    served = rate_rows.table(result)
    if served is not None:
        console.print()
        console.print(_text("Rates", style="bold"))
        console.print(Padding(_served(served), (0, 0, 0, 2)))
        console.print(Padding(_text(served.note, style="dim"), (0, 0, 0, 2)))
    others = groups((row for row in table if row not in shown), table) if not verbose else ()
    _section(console, "Candidates", _candidates(table if verbose else shown, others))
    hidden = sum(len(each.others) for each in others)
    if hidden:
        console.print(Padding(_text(f"--verbose lists {count(hidden, 'more candidate')}.", style="dim"), (0, 0, 0, 2)))
    _section(
        console,
        f"Budgets, {label(result.selected)}" if result.selected is not None else "Budgets",
        [(line.budget, line.outcome, line.evidence) for line in budget_lines.lines(result)],
    )
    _section(console, "Layers", change_wording.lines(result.layer_changes) if result.layer_changes is not None else [])
    compared = (selected_row(table), reference(table))
    named = {label(row.candidate) for row in compared if row is not None}
    wanted = {label(row.candidate) for row in measured} if verbose else named
    _section(console, "Rooflines", [(name, said) for name, said in rooflines(result) if name in wanted])
    forecast = [(name, said) for name, said in forecasts(result) if verbose or name in named]
    _section(console, "Forecast, not measured", [*forecast, *forecast_errors(result)] if forecast else [])
    unstable = warnings(result)  # the summary holds the first warning, or else the first caveat
    _section(console, "Warnings", [(warning,) for warning in unstable[1:]])
    _section(console, "Caveats", [(caveat,) for caveat in result.caveats[0 if unstable else 1 :]])
    _section(console, "Measured", _provenance(result))


def _candidates(shown: tuple[Row, ...], others: tuple[Group, ...]) -> list[tuple[str, ...]]:
    """List every shown row by itself, and all others in one line for each reason."""
    lines: list[tuple[str, ...]] = [
        (label(row.candidate), row.candidate.status, row.verdict, row.candidate.reason) for row in shown
    ]
    lines += [
        (label(each.first.candidate), each.first.candidate.status, each.first.verdict, each.reason) for each in others
    ]
    return lines


def _figures(console: Console, shown: tuple[Row, ...], notes: dict[str, int]) -> RenderableType:
    """Lay figures out in a table with intervals, without intervals, or below each name: the first that fits."""
    for intervals in (True, False):
        grid = _grid(shown, notes, intervals=intervals)
        if Measurement.get(console, console.options.update_width(1_000), grid).maximum <= console.width:
            return grid
    return _stacked(shown, notes)


def _stacked(shown: tuple[Row, ...], notes: dict[str, int]) -> RenderableType:
    """Lay out each candidate's name, and below it as many figures side by side as there is room for."""
    parts: list[RenderableType] = []
    for row in shown:
        cells = []
        for name in columns(shown):
            unit = quantity_of(name).unit if name in row.figures else ""
            cells.append(_text(f"{rows.heading(name, shown)} {row.value(name, notes)} {unit}".rstrip()))
        parts += [_text(row.name, style=row.candidate.status), Padding(Columns(cells, padding=(0, 2)), (0, 0, 0, 2))]
    return RenderGroup(*parts)


def _grid(shown: tuple[Row, ...], notes: dict[str, int], *, intervals: bool) -> Table:
    """Lay out one row for each candidate; with intervals, a row takes two lines."""
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1), collapse_padding=True)
    grid.add_column("candidate", no_wrap=True, vertical="top")
    names = columns(shown)
    for quantity in names:
        head = _text(rows.heading(quantity, shown), Text("\n"), quantity_of(quantity).unit)
        grid.add_column(head, justify="right", no_wrap=True)
    for row in shown:
        cells = [_text(row.value(quantity, notes)) for quantity in names]
        if intervals:
            cells = [
                _text(cell.plain, Text("\n"), _text(row.interval(quantity), style="dim"))
                for cell, quantity in zip(cells, names)
            ]
        first, runtime, rest = row.name.partition(f" ({row.candidate.runtime})")
        name = (first, Text("\n"), runtime.strip(), rest) if intervals and runtime else (row.name,)
        grid.add_row(_text(*name, style=row.candidate.status), *cells)
    return grid


def _served(served: RateTable) -> Table:
    """Lay out throughput against latency, the largest rate that holds in bold."""
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for number, head in enumerate(served.heads):
        last = number == len(served.heads) - 1
        first, space, rest = head.partition(" ") if not last else (head, "", "")
        grid.add_column(_text(first, Text("\n" if space else ""), rest), justify="left" if last else "right")
    for number, line in enumerate(served.lines):
        grid.add_row(*(_text(cell, style="bold" if number == served.best else "") for cell in line))
    return grid


def _provenance(result: ProfileResult) -> list[tuple[str, str]]:
    lines = [("on", machine) for machine in machines(result)]
    selected = result.selected
    lines += method_facts(selected.report) if selected is not None and selected.report is not None else []
    lines += [("at most", peaks) for peaks in peaks(result)]
    lines += [("layers", layers(result))] if layers(result) else []
    lines += [("search", search(result))] if search(result) else []
    if lines:
        lines.append(("intervals", f"{CONFIDENCE:.0%} confidence; rate, memory and energy: range over processes"))
    if result.confidence is not None and any(v.probability is not None for _, v in verdicts(result)):
        lines.append(("accuracy", f"verdicts take a probability of {result.confidence:.6g}, one-sided"))
    lines += [("verdicts", gate_note(result))] if gate_note(result) else []
    return lines


def _section(console: Console, title: str, lines: Sequence[tuple[str, ...]]) -> None:
    if not lines:
        return
    console.print()
    if title:
        console.print(_text(title, style="bold"))
    _print_lines(console, lines, indent=2 if title else 0)


def _print_lines(console: Console, lines: Sequence[tuple[str, ...]], indent: int = 0) -> None:
    """Print cells in columns; if these leave little room for the last cell, it goes below the others."""
    *heads, _ = ([cell_len(line[number]) for line in lines] for number in range(len(lines[0])))
    left = console.width - indent - sum(max(widths) + _GAP for widths in heads)
    if heads and left < min(_ROOM, max(cell_len(line[-1]) for line in lines)):
        for *cells, last in lines:
            first = Text("  ").join(_text(cell, style=cell) for cell in cells if cell)
            console.print(Padding(first, (0, 0, 0, indent)))
            console.print(Padding(_text(last), (0, 0, 0, indent + _GAP)))
        return
    grid = Table.grid(padding=(0, _GAP, 0, 0))
    for _ in heads:
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    for line in lines:
        grid.add_row(*(_text(cell, style=cell) for cell in line))
    console.print(Padding(grid, (0, 0, 0, indent)))


def _text(*parts: str | Text, style: str = "") -> Text:
    """Make Rich's text from lines, whose markup is not interpreted."""
    cleaned = [part if isinstance(part, Text) else _escape.line(part) for part in parts]
    return Text.assemble(*cleaned, style=_STYLES.get(style, style if style in ("bold", "dim") else ""))
