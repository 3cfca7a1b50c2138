"""The time limit of a search, and its end by Ctrl-C."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

import click

from runtimes.sampling.closed_loop import SamplingPlan

_SHORTEST_S = 0.1  # of a block, however little time is left
MAKING = 0.4
"""Share of the time limit for making candidates; a file that nobody measures is worth nothing."""
SEARCHING = 0.6
"""Share of the time limit for searching; the rest is for measuring the finalists well."""
ACCEPTING = 0.8
"""Share of the time limit after which no further finalist is scored, so that some time is left to measure them."""


class TimeUp(BaseException):
    """The time for this phase is over. It comes at any line, as Ctrl-C does, and no `except Exception` may take it."""


@dataclass
class TimeLimit:
    """A clock that starts when it is made. Phases have shares of what is left when the search begins.

    Attributes:
        limit_s: the longest that everything may take, in seconds; None for no limit.
        stopped: the reason why the search ended early, for the report; None if it did not.
    """

    limit_s: float | None = None
    stopped: str | None = None
    _interrupted: bool = False
    _start: float = field(default_factory=time.monotonic)
    _before_search_s: float = 0.0

    def begin_search(self) -> None:
        """Note that what has to be done in any case, such as running the source, is done."""
        self._before_search_s = time.monotonic() - self._start

    def check(self, share: float = SEARCHING) -> None:
        """Check that there is time left.

        Raises:
            TimeUp: this share of the time limit is over, or the user has stopped the search.
        """
        if self._interrupted:
            raise TimeUp
        self.check_limit(share)

    def check_limit(self, share: float) -> None:
        """Check that there is time left for what goes on after the user stopped the search.

        Raises:
            TimeUp: this share of the time limit is over.
        """
        if self.left_s(share) < 0:
            self._end()

    def left_s(self, share: float = 1.0) -> float:
        """Return the seconds until a share of the time limit is over, negative after that; infinity for no limit."""
        if self.limit_s is None:
            return math.inf
        ends_s = self._before_search_s + share * (self.limit_s - self._before_search_s)
        return ends_s - (time.monotonic() - self._start)

    def is_over(self, share: float = SEARCHING) -> bool:
        """Tell whether the time is over; if so, note that it ended the search."""
        try:
            self.check(share)
        except TimeUp:
            return True
        return False

    def fitted(self, plan: SamplingPlan, blocks: int, startup_s: float) -> SamplingPlan:
        """Shorten a plan so that this many blocks fit into the rest of the time limit."""
        if self.limit_s is None or not blocks:
            return plan
        each_s = max(_SHORTEST_S, self.left_s() / blocks - startup_s)
        return dataclasses.replace(
            plan,
            duration_s=min(plan.duration_s, each_s),
            warmup_limit_s=min(plan.warmup_limit_s, each_s / 2),
            time_limit_s=min(plan.time_limit_s, each_s),
        )

    @contextlib.contextmanager
    def ends(self, share: float) -> Iterator[None]:
        """Raise TimeUp in the `with` block as soon as a share of the time limit is over, whatever runs then.

        A signal ends calibration, scoring, a metric of the user's and waiting for a process alike, which then is
        killed. In another thread than the main one, where Python delivers no signals, only `check` ends the block.

        Raises:
            TimeUp: this share of the time limit is over.
        """
        self.check_limit(share)
        if self.limit_s is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, self._ring)
        outer_s, _ = signal.setitimer(signal.ITIMER_REAL, max(self.left_s(share), 1e-3))
        began_s = time.monotonic()
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, before if before is not None else signal.SIG_DFL)
            if outer_s:  # the alarm of an outer block, or of someone else
                signal.setitimer(signal.ITIMER_REAL, max(outer_s - (time.monotonic() - began_s), 1e-3))

    def _ring(self, number: int, frame: FrameType | None) -> None:
        self._end()

    def _end(self) -> NoReturn:
        self.stopped = self.stopped or f"The time limit of {self.limit_s:g} s ended the search"
        raise TimeUp

    @contextlib.contextmanager
    def phase(self, stoppable: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """Run the `with` block while there is time; a first Ctrl-C ends it, too, if there are results to keep.

        Args:
            stoppable: tells whether there are results to keep when Ctrl-C comes.
        """
        try:
            yield
        except TimeUp:
            pass
        except KeyboardInterrupt:
            if not stoppable() or self._interrupted:
                raise
            self._interrupted = True
            self.stopped = "Ctrl-C ended the search"
            click.echo("Stopping with the best so far; press Ctrl-C again to leave at once.", err=True)
