"""Progress of long steps: a bar with an ETA on a terminal, silence elsewhere; and what is to be said meanwhile."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar

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

_shown: ContextVar[Progress | None] = ContextVar("shown", default=None)


@contextlib.contextmanager
def bar(title: str, steps: int | None) -> Iterator[Tick]:
    """Show `steps` steps, or as many as come; call what is yielded with a word about each step that is done.

    A bar within a bar is a second line, and goes when its steps are done.
    """
    with _progress(MofNCompleteColumn()) as progress:
        task = progress.add_task(title, total=steps, done="")
        try:
            yield lambda done: progress.update(task, advance=1, done=done)
        finally:
            progress.remove_task(task)


@contextlib.contextmanager
def clock(title: str, limit_s: float) -> Iterator[Tick]:
    """Show how much of a time limit has passed, for what may end before it; called as `bar`'s."""
    start = time.monotonic()
    with _progress() as progress:
        task = progress.add_task(title, total=limit_s, done="")
        try:
            yield lambda done: progress.update(task, completed=time.monotonic() - start, done=done)
        finally:
            progress.remove_task(task)


def say(text: str) -> None:
    """One line on stderr, above the bars."""
    progress = _shown.get()
    console = progress.console if progress is not None else Console(stderr=True)
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def phase(text: str) -> None:
    """One line on stderr where no bar can be seen, so that a log shows what a long step is at."""
    if not Console(stderr=True).is_terminal:
        say(text)


@contextlib.contextmanager
def _progress(*counts: ProgressColumn) -> Iterator[Progress]:
    outer = _shown.get()
    if outer is not None:
        yield outer
        return
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
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        token = _shown.set(progress)
        try:
            yield progress
        finally:
            _shown.reset(token)
