"""Progress of long steps on stderr: bars with an ETA on a terminal, silence elsewhere, and messages meanwhile."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from runtimes.errors import one_line

Tick = Callable[[str], None]
"""A function that is called after each step, with a few words on it."""

_BAR_WIDTH = 12  # of 80 columns, so that there is room for the words on the last step
_SPEED_S = 300.0  # seconds of steps that tell the speed: a step of a build takes up to a minute
_shown: ContextVar[Progress | None] = ContextVar("shown", default=None)
_staged: ContextVar[_StagedBar | None] = ContextVar("staged", default=None)


@dataclass(frozen=True)
class Stage:
    """A part of a staged bar.

    Attributes:
        name: the argument of `begin_stage`.
        steps: about how many steps it takes.
        title: the words that a terminal shows.
    """

    name: str
    steps: int
    title: str


@contextlib.contextmanager
def bar(title: str, steps: int | None) -> Iterator[Tick]:
    """Show a bar with a number of steps; further steps make it longer, and None shows a count alone."""
    with _progress() as progress, _task(progress, title, steps) as task:
        yield lambda done: _advance(progress, task, done)


@contextlib.contextmanager
def staged_bar(title: str, stages: Sequence[Stage]) -> Iterator[Tick]:
    """Show a bar of all stages, and a bar of the stage that `begin_stage` began last."""
    with _progress() as progress, _task(progress, title, sum(stage.steps for stage in stages)) as whole:
        shown = _StagedBar(progress, whole, tuple(stages))
        token = _staged.set(shown)
        try:
            yield shown.tick
        finally:
            _staged.reset(token)
            shown.end_stage()


@contextlib.contextmanager
def clock(title: str, limit_s: float) -> Iterator[Tick]:
    """Show how many seconds of a time limit have passed, for work that may end before it."""
    start_s = time.monotonic()
    with _progress() as progress, _task(progress, title, limit_s, ends_s=start_s + limit_s) as task:
        yield lambda done: progress.update(
            task, completed=min(time.monotonic() - start_s, limit_s), done=one_line(done)
        )


def begin_stage(name: str) -> None:
    """Begin a stage of the staged bar, if there is one; without a terminal, print its name on stderr."""
    shown = _staged.get()
    if shown is None:
        return
    if shown.progress.disable:
        say(name)
    shown.begin(name)


def limit(seconds: float | None) -> None:
    """Tell the staged bar its time limit in seconds; None for no limit."""
    shown = _staged.get()
    if shown is not None:
        shown.progress.update(shown.whole, ends_s=None if seconds is None else time.monotonic() + seconds)


def say(text: str) -> None:
    """Print one line on stderr, above the bars."""
    progress = _shown.get()
    console = progress.console if progress is not None else Console(stderr=True)
    console.print(one_line(text), markup=False, highlight=False, soft_wrap=True)


@dataclass
class _StagedBar:
    """A bar of all stages and one of the current stage.

    Attributes:
        before: steps of the stages before the current one.
        expected: steps of the current stage.
        here: steps of the current stage that are done.
    """

    progress: Progress
    whole: TaskID
    stages: tuple[Stage, ...]
    before: int = 0
    expected: int = 0
    here: int = 0
    task: TaskID | None = None

    def begin(self, name: str) -> None:
        """Go on to a stage, and count the stages before it as done; an unknown stage takes no step of the whole."""
        names = [stage.name for stage in self.stages]
        title = name
        self.before, self.expected, self.here = self.before + self.expected, 0, 0
        if name in names:
            skipped, (stage, *_) = self.stages[: names.index(name)], self.stages[names.index(name) :]
            self.before += sum(each.steps for each in skipped)
            self.expected, title = stage.steps, stage.title
            self.stages = self.stages[names.index(name) + 1 :]
        self.end_stage()
        self.task = self.progress.add_task(one_line(title), total=self.expected or None, done="", ends_s=None)
        self.progress.update(self.whole, completed=self.before)

    def tick(self, done: str) -> None:
        """Count one step of the current stage."""
        self.here += 1
        self.progress.update(self.whole, completed=self.before + min(self.here, self.expected))
        if self.task is not None:
            _advance(self.progress, self.task, done)

    def end_stage(self) -> None:
        """Remove the current stage's bar."""
        if self.task is not None:
            self.progress.remove_task(self.task)
            self.task = None


@contextlib.contextmanager
def _task(progress: Progress, title: str, total: float | None, ends_s: float | None = None) -> Iterator[TaskID]:
    task = progress.add_task(one_line(title), total=total, done="", ends_s=ends_s)
    try:
        yield task
    finally:
        progress.remove_task(task)


def _advance(progress: Progress, task: TaskID, done: str) -> None:
    progress.update(task, advance=1, done=one_line(done))
    (found,) = (each for each in progress.tasks if each.id == task)
    if found.total is not None and found.completed > found.total:
        progress.update(task, total=found.completed)


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """Share one display among all bars, since a terminal can hold one."""
    outer = _shown.get()
    if outer is not None:
        yield outer
        return
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(_BAR_WIDTH),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        _Eta(),
        TextColumn("{task.fields[done]}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
    )
    with Progress(
        *columns, console=console, transient=True, expand=True, disable=not console.is_terminal,
        speed_estimate_period=_SPEED_S, get_time=lambda: time.monotonic(),
    ) as progress:  # fmt: skip
        token = _shown.set(progress)
        try:
            yield progress
        finally:
            _shown.reset(token)


class _Eta(TimeRemainingColumn):
    """Time that is left by the speed of the last steps, and no more than a time limit leaves."""

    def render(self, task: Task) -> Text:
        """Write it as in "ETA 0:01:30"."""
        left_s = [task.time_remaining] if task.total is not None and task.time_remaining is not None else []
        if task.fields["ends_s"] is not None and time.monotonic() < task.fields["ends_s"]:
            # After the limit only work that must be done in any case is left.
            left_s.append(task.fields["ends_s"] - time.monotonic())
        shown = str(timedelta(seconds=round(min(left_s)))) if left_s else "-:--:--"
        return Text(f"ETA {shown}", style="progress.remaining")
