"""Progress of long steps: a bar with an ETA on a terminal, silence elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hwbench.measure import Tick


@contextlib.contextmanager
def bar(title: str, steps: int) -> Iterator[Tick]:
    """Show `steps` steps; call what is yielded with a word about each step that is done."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[done]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=steps, done="")
        yield lambda done: progress.update(task, advance=1, done=done)
