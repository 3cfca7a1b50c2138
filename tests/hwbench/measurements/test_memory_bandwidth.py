"""Bandwidth by working set: what bounds what, and one real measurement."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.measurements import memory_bandwidth
from hwbench.measurements.memory_bandwidth import Bandwidth, best, bound

LADDER = (Bandwidth(1 << 20, 100e9), Bandwidth(2 << 20, 80e9), Bandwidth(4 << 20, 20e9))


def test_a_working_set_is_bounded_by_the_largest_measured_one_that_is_no_larger():
    assert [bound(LADDER, mib << 20) for mib in (1, 2, 3, 4, 100)] == [100e9, 80e9, 80e9, 20e9, 20e9]
    assert bound(LADDER, (1 << 20) - 1) is None
    assert bound((), 1 << 30) is None


series = st.lists(st.builds(Bandwidth, st.integers(1, 10), st.floats(1, 1e12)), max_size=8)


@given(series, series)
def test_the_best_of_several_is_no_lower_than_any_and_falls_with_size(ours, theirs):
    found = best(ours, theirs)
    assert [each.bytes for each in found] == sorted({each.bytes for each in (*ours, *theirs)})
    assert [each.bytes_per_s for each in found] == sorted((each.bytes_per_s for each in found), reverse=True)
    for each in (*ours, *theirs):
        assert (bound(found, each.bytes) or math.inf) >= each.bytes_per_s
    assert best(found) == found


def test_measures_this_machine_in_sizes_that_double(machine):
    small = dataclasses.replace(machine, caches_bytes={"L2": 1 << 20}, memory_bytes=1 << 30)
    for threads in (1, 2):
        found = memory_bandwidth.measure(small, threads)
        assert [each.bytes for each in found] == [(1 << 19) * threads << n for n in range(len(found))]
        assert found[-1].bytes == 4 << 20
        assert all(1e8 < each.bytes_per_s < 1e14 for each in found)


@pytest.mark.parametrize(("threads", "mib"), [(1, 4), (2, 8), (4, 8)])
def test_the_largest_lies_beyond_all_last_caches_that_the_threads_can_use(machine, threads, mib):
    sockets = dataclasses.replace(machine, caches_bytes={"L3": 1 << 20}, memory_bytes=1 << 30, last_caches=2)
    assert memory_bandwidth.measure(sockets, threads)[-1].bytes == mib << 20


def test_a_small_machine_is_not_asked_for_more_memory_than_it_has(machine):
    small = dataclasses.replace(machine, caches_bytes={}, memory_bytes=1 << 25)
    assert memory_bandwidth.measure(small, 1)[-1].bytes == 1 << 21
