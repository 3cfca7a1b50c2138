"""Tables on a terminal, whose cells are names from models and files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runtimes.errors import one_line


def add_row(table: Table, *cells: str) -> None:
    """Add a row whose cells are one line each, and neither Rich's markup nor a terminal's or a CI server's commands."""
    table.add_row(*(Text(one_line(cell)) for cell in cells))


def printed(heads: Sequence[str], rows: Iterable[Sequence[str]], width: int | None = None) -> str:
    """Lay out a table as plain lines; only the last column's cells are folded where the terminal is narrow.

    Args:
        heads: the columns' heads.
        rows: the cells.
        width: columns to fit in; by default the terminal's, 80 without one.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for number, head in enumerate(heads):
        is_last = number == len(heads) - 1
        table.add_column(Text(head), no_wrap=not is_last, overflow="fold")
    for row in rows:
        add_row(table, *row)
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
