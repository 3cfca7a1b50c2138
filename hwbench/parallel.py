"""Parallel work: steps that are not timed, in several processes at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import TypeVar

from hwbench import child_process

_PAUSE_S = 0.05  # between two rounds of kills: a step may start another process after the first

T = TypeVar("T")
R = TypeVar("R")


def count(threads: int, cores: int) -> int:
    """Compute how many processes fit on the cores; 0 threads per process count as all cores."""
    return max(1, cores // (threads or cores))


def each(step: Callable[[T], R], items: Iterable[T], lanes: int, store: Callable[[R], object]) -> None:
    """Do a step for each item, and store each result as it comes.

    After an exception, Ctrl-C or an alarm at any line included, no further step begins and the running processes are
    killed; results that were stored by then stay.

    Args:
        step: waits for a process of `hwbench.child_process`, which several Python threads can do at once.
        items: the step's arguments.
        lanes: the number of steps at a time.
        store: takes each result, in this thread.
    """
    processes: set[child_process.Process] = set()
    with ThreadPoolExecutor(lanes, initializer=child_process.track_in, initargs=(processes,)) as pool:
        futures: set[Future[R]] = set()
        try:
            futures.update(pool.submit(step, item) for item in items)
            for done in as_completed(futures):
                futures.discard(done)  # frees its result, which may be large
                store(done.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in futures):
                for process in list(processes):
                    process.kill()
                time.sleep(_PAUSE_S)
            raise
