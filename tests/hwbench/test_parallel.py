"""Several at a time: what is kept, and what an interrupt leaves undone."""

from __future__ import annotations

import signal
import threading
import time

import psutil
import pytest

from hwbench.child_process import run_module
from hwbench.parallel import count, each
from runtimes.errors import BackendError


def test_there_are_as_many_as_there_are_cores_for():
    assert [count(threads, 8) for threads in (1, 2, 3, 8, 0, 80)] == [8, 4, 2, 1, 1, 1]


def test_they_run_side_by_side_and_every_result_is_kept_here():
    both = threading.Barrier(2, timeout=10)  # one at a time would wait for ever
    kept = []
    each(lambda item: (both.wait(), item)[1], range(4), 2, lambda result: kept.append((result, threading.get_ident())))
    assert sorted(kept) == [(item, threading.get_ident()) for item in range(4)]


def test_an_interrupt_keeps_what_there_is_and_begins_nothing_more():
    begun, kept = [], []

    def step(item):
        begun.append(item)
        if item == 1:
            raise KeyboardInterrupt
        time.sleep(0.01)
        return item

    with pytest.raises(KeyboardInterrupt):
        each(step, range(1000), 1, kept.append)
    assert set(kept) <= {0, *begun}
    assert len(begun) < 1000


def test_an_interrupt_of_the_parent_alone_kills_the_processes_that_run(tmp_path):
    died, before = [], set(psutil.Process().children())

    def interrupt():
        while len(set(psutil.Process().children()) - before) < 2:
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    both = threading.Barrier(2, threading.Thread(target=interrupt, daemon=True).start)

    def step(item):
        both.wait(timeout=30)
        try:
            run_module("timeit", ["-n", "1", "-r", "1", "__import__('time').sleep(600)"], tmp_path, 600)
        except BackendError as error:
            died.append(str(error))

    with pytest.raises(KeyboardInterrupt):
        each(step, range(4), 2, print)
    assert died == ["The process that runs the model died of signal 9."] * 2
