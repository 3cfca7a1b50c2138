"""Several at a time: what is kept, and what an interrupt leaves undone."""

from __future__ import annotations

import threading
import time

import pytest

from toolchain.search.lanes import count, each


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
