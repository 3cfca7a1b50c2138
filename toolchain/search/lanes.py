"""Work that is not timed, several processes at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def count(threads: int, cores: int) -> int:
    """How many processes of so many threads run at a time on so many cores; 0 threads are all there are."""
    return max(1, cores // (threads or cores))


def each(step: Callable[[T], R], items: Iterable[T], lanes: int, keep: Callable[[R], object]) -> None:
    """Do a step for each item, and keep what comes of it as it comes.

    An exception, Ctrl-C among them, begins no further step; what is kept by then stays.

    Args:
        step: waits for a process, which threads of Python do side by side.
        items: what it is given.
        lanes: how many at a time.
        keep: takes each result, in this thread.
    """
    with ThreadPoolExecutor(lanes) as pool:
        try:
            for done in as_completed([pool.submit(step, item) for item in items]):
                keep(done.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
