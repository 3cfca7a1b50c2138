"""Progress of long steps: a bar with an ETA on a terminal, silence elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from hwbench.measure import Tick


@contextlib.contextmanager
def bar(title: str, steps: int) -> Iterator[Tick]:
    """Show `steps` steps; call what is yielded with a word about each step that is done."""
    with _progress(MofNCompleteColumn()) as progress:
        task = progress.add_task(title, total=steps, done="")
        yield lambda done: progress.update(task, advance=1, done=done)


@contextlib.contextmanager
def clock(title: str, limit_s: float) -> Iterator[Tick]:
    """Show how much of a time limit has passed, for what may end before it; called as `bar`'s."""
    start = time.monotonic()
    with _progress() as progress:
        task = progress.add_task(title, total=limit_s, done="")
        yield lambda done: progress.update(task, completed=time.monotonic() - start, done=done)


def _progress(*counts: ProgressColumn) -> Progress:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        *counts,
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[done]}"),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
