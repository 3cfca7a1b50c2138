"""Printing of results, in the format that the user asks for."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtimes import plugins
from runtimes.errors import one_line

if TYPE_CHECKING:  # a command imports this module for --help too
    from hwbench.results.profile_results import Results

LOG_WIDTH = 140
"""Columns of a table that goes to a file or a log, which has no width of its own."""


def show(results: Results, form: str, *, verbose: bool = False) -> None:
    """Print results to stdout, in colour if it is a terminal; `verbose` shows every candidate in text."""
    module = plugins.load("hwbench.formats", form, "format")
    terminal = sys.stdout.isatty()
    width = None if terminal else int(os.environ.get("COLUMNS") or LOG_WIDTH)
    options = {"color": terminal, "width": width, "verbose": verbose} if form == "text" else {}
    click.echo(module.render(results, **options), nl=False)


def show_build(results: Results, out: Path, form: str, *, verbose: bool) -> None:
    """Print a build's results, and after the text the files that it wrote."""
    show(results, form, verbose=verbose)
    if form == "text":
        for bundle in (result.bundle for result in results.profiles if result.bundle):
            click.echo(one_line(f"Bundle: {bundle}"))
        click.echo(f"Report: {out / 'report.html'}")
