"""The time limit of a search, and its end by Ctrl-C."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import click

from runtimes.sampling.closed_loop import SamplingPlan

_SHORTEST_S = 0.1  # of a block, however little time is left
SEARCHING = 0.6
"""Share of the time limit for searching; the rest is for measuring the finalists well."""


class TimeUp(Exception):  # noqa: N818  # no error: it ends a phase
    """The time for this phase is over."""


@dataclass
class TimeLimit:
    """A clock that starts when it is made.

    Attributes:
        limit_s: the longest that everything may take, in seconds; None for no limit.
        stopped: the reason why the search ended early, for the report; None if it did not.
    """

    limit_s: float | None = None
    stopped: str | None = None
    _interrupted: bool = False
    _start: float = field(default_factory=time.monotonic)

    def check(self, share: float = SEARCHING) -> None:
        """Check that there is time left.

        Raises:
            TimeUp: this share of the time limit is over, or the user has stopped the search.
        """
        if self._interrupted:
            raise TimeUp
        if self.limit_s is not None and time.monotonic() - self._start > share * self.limit_s:
            self.stopped = self.stopped or f"The time limit of {self.limit_s:g} s ended the search"
            raise TimeUp

    @property
    def is_spent(self) -> bool:
        """True if all of the time limit is over, whether or not the user stopped the search."""
        return self.limit_s is not None and time.monotonic() - self._start > self.limit_s

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
        left_s = self.limit_s - (time.monotonic() - self._start)
        each_s = max(_SHORTEST_S, left_s / blocks - startup_s)
        return dataclasses.replace(
            plan,
            duration_s=min(plan.duration_s, each_s),
            warmup_limit_s=min(plan.warmup_limit_s, each_s / 2),
            time_limit_s=min(plan.time_limit_s, each_s),
        )

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
