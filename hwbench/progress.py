"""Progress of long steps: a bar with an ETA on a terminal, silence elsewhere; and what is to be said meanwhile."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

Tick = Callable[[str], None]
"""A function to call after each step, with what was done."""

_BAR_WIDTH = 12  # of 80 columns, so that there is room for what is being done
_RECENT = 20  # steps that tell the speed
_shown: ContextVar[Progress | None] = ContextVar("shown", default=None)
_course: ContextVar[_Line | None] = ContextVar("course", default=None)
_innermost: ContextVar[_Line | None] = ContextVar("innermost", default=None)


@dataclass(frozen=True)
class Stage:
    """A part of a course.

    Attributes:
        name: what `phase` begins it by.
        steps: about how many it takes.
        title: what a terminal shows.
    """

    name: str
    steps: int
    title: str


@contextlib.contextmanager
def bar(title: str, steps: int | None) -> Iterator[Tick]:
    """Show `steps` steps, or as many as come; call what is yielded with a word about each step that is done.

    A bar within a bar is a second line, and goes when its steps are done.
    """
    with _line(title, steps, MofNCompleteColumn()) as line:
        yield line.tick


@contextlib.contextmanager
def course(title: str, stages: Sequence[Stage]) -> Iterator[Tick]:
    """Like `bar`, through stages that `phase` begins.

    A stage that takes fewer steps than expected, or never begins, makes the course shorter; one with more makes it
    longer. So the line is at its end when the last step is done, and not before.
    """
    with _line(title, sum(stage.steps for stage in stages), MofNCompleteColumn()) as line:
        line.stages = tuple(stages)
        token = _course.set(line)
        try:
            yield line.tick
        finally:
            _course.reset(token)


@contextlib.contextmanager
def clock(title: str, limit_s: float) -> Iterator[Tick]:
    """Show how much of a time limit has passed, for what may end before it; called as `bar`'s."""
    start = time.monotonic()
    with _line(title, limit_s) as line:
        line.ends_s = start + limit_s
        yield lambda done: line.show(done, min(time.monotonic() - start, limit_s), limit_s)


def phase(text: str) -> None:
    """Begin a stage of the course, if there is one; where no bar can be seen, a line on stderr tells a log of it."""
    line = _course.get()
    if line is None:
        return
    if not line.progress.console.is_terminal:
        say(text)
    line.begin(text)


def limit(seconds: float | None) -> None:
    """From now on the course ends in so many seconds, unless its steps are done sooner; None for no limit."""
    line = _course.get()
    if line is not None:
        line.ends_s = time.monotonic() + seconds if seconds is not None else None


def say(text: str) -> None:
    """One line on stderr, above the bars."""
    progress = _shown.get()
    console = progress.console if progress is not None else Console(stderr=True)
    console.print(text, markup=False, highlight=False, soft_wrap=True)


@dataclass
class _Line:
    """One line of progress.

    Attributes:
        task: Rich's number of it.
        total: steps that are expected by now; None where nobody knows.
        done: steps that are done.
        stages: those to come, the one that has begun first; empty where there are none.
        here: steps that are done of that stage.
        title: its title.
        ends_s: when a time limit ends it, by the monotonic clock.
        ticks_s: when it began, and when each step was done.
        inner: the line of what one of its steps consists of, while that is done.
    """

    progress: Progress
    task: TaskID
    total: float | None
    done: int = 0
    stages: tuple[Stage, ...] = ()
    here: int = 0
    title: str = ""
    ends_s: float | None = None
    ticks_s: list[float] = field(default_factory=lambda: [time.monotonic()])
    inner: _Line | None = None

    def tick(self, done: str) -> None:
        """A step is done."""
        self.done, self.here = self.done + 1, self.here + 1
        self.ticks_s.append(time.monotonic())
        self._step(done)

    def begin(self, name: str) -> None:
        """Go on to a stage, past those that never began; an unknown one is part of the one that has begun."""
        names = [stage.name for stage in self.stages]
        if name in names:
            self.stages, self.here = self.stages[names.index(name) :], 0
        self.title = self.stages[0].title if name in names else name
        self._step("")

    def show(self, done: str, completed: float, total: float | None) -> None:
        """Say what was done last, behind the stage."""
        shown = ": ".join(filter(None, (self.title, done)))
        self.progress.update(self.task, completed=completed, total=total, done=shown)

    @property
    def left_s(self) -> float | None:
        """By the speed of the last steps, and no more than a time limit leaves; None where nobody can tell."""
        now = time.monotonic()
        estimates = []
        if self.ends_s is not None and now < self.ends_s:  # once it is over, what has to be done in any case is left
            estimates.append(self.ends_s - now)
        recent = self.ticks_s[-_RECENT:]
        if self.total is not None and len(recent) > 1:
            each_s = (recent[-1] - recent[0]) / (len(recent) - 1)
            if self.inner is not None:
                estimates.append((self.total - self.done) * each_s + (self.inner.left_s or 0.0))
            else:
                estimates.append(max((self.total - self.done) * each_s - (now - recent[-1]), 0.0))
        return min(estimates, default=None)

    def _step(self, done: str) -> None:
        if self.total is not None and self.stages:
            begun, *later = self.stages
            self.total = self.done + max(begun.steps - self.here, 0) + sum(stage.steps for stage in later)
        elif self.total is not None:
            self.total = max(self.total, self.done)
        self.show(done, self.done, self.total)


@contextlib.contextmanager
def _line(title: str, total: float | None, *counts: ProgressColumn) -> Iterator[_Line]:
    with _progress(*counts) as progress:
        task = progress.add_task(title, total=total, done="", line=None)
        line, outer = _Line(progress, task, total), _innermost.get()
        progress.update(task, line=line)
        token = _innermost.set(line)
        if outer is not None:
            outer.inner = line
        try:
            yield line
        finally:
            if outer is not None:
                outer.inner = None
            _innermost.reset(token)
            progress.remove_task(task)


@contextlib.contextmanager
def _progress(*counts: ProgressColumn) -> Iterator[Progress]:
    outer = _shown.get()
    if outer is not None:
        yield outer
        return
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(_BAR_WIDTH),
        *counts,
        TimeElapsedColumn(),
        _Eta(),
        TextColumn("{task.fields[done]}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
    )
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, expand=True, disable=hidden) as progress:
        token = _shown.set(progress)
        try:
            yield progress
        finally:
            _shown.reset(token)


class _Eta(ProgressColumn):
    """What is left of a line."""

    max_refresh = 0.5  # as of Rich's own, against flicker

    def render(self, task: Task) -> Text:
        line: _Line | None = task.fields["line"]
        left_s = line.left_s if line is not None else None
        shown = "-:--:--" if left_s is None else str(timedelta(seconds=round(left_s)))
        return Text(f"ETA {shown}", style="progress.remaining")
