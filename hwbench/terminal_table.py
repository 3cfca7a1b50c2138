"""Tables on a terminal, whose cells are names from models and files."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from runtimes.errors import one_line


def add_row(table: Table, *cells: str) -> None:
    """Add a row whose cells are one line each, and neither Rich's markup nor a terminal's or a CI server's commands."""
    table.add_row(*(Text(one_line(cell)) for cell in cells))
