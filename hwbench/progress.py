"""Progress of long steps: a bar with an ETA on a terminal, silence elsewhere."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hwbench.measure import Tick

_shown: contextvars.ContextVar[Progress | None] = contextvars.ContextVar("_shown", default=None)


@contextlib.contextmanager
def bar(title: str, steps: int) -> Iterator[Tick]:
    """Show `steps` steps; call what is yielded with a word about each step that is done.

    A bar inside another one is a second line below it.
    """
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
    with contextlib.ExitStack() as stack:
        progress = _shown.get()
        if progress is None:
            shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
            progress = stack.enter_context(shown)
            stack.callback(_shown.reset, _shown.set(progress))
        task = progress.add_task(title, total=steps, done="")
        stack.callback(progress.remove_task, task)
        live = progress
        yield lambda done: live.update(task, advance=1, done=done)
