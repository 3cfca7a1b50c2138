"""Work that is not timed, several processes at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from hwbench import child_process

_PAUSE_S = 0.05

T = TypeVar("T")
R = TypeVar("R")


def count(threads: int, cores: int) -> int:
    """How many processes of so many threads run at a time on so many cores; 0 threads are all there are."""
    return max(1, cores // (threads or cores))


def each(step: Callable[[T], R], items: Iterable[T], lanes: int, keep: Callable[[R], object]) -> None:
    """Do a step for each item, and keep what comes of it as it comes.

    An exception, Ctrl-C among them, begins no further step and kills the processes that run; what is kept by then
    stays.

    Args:
        step: waits for a process of `hwbench.child_process`, which threads of Python do side by side.
        items: what it is given.
        lanes: how many at a time.
        keep: takes each result, in this thread.
    """
    processes: set[child_process.Process] = set()
    with ThreadPoolExecutor(lanes, initializer=child_process.collect, initargs=(processes,)) as pool:
        futures = {pool.submit(step, item) for item in items}
        try:
            for done in as_completed(futures):
                futures.discard(done)  # whose result may be large
                keep(done.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in futures):
                for process in list(processes):
                    process.kill()
                time.sleep(_PAUSE_S)
            raise
