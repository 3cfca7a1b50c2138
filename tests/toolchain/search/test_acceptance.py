"""What a budget of size lets go, and what is known to break a budget before there is a report."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
from search_parts import attempt

from hwbench.budget import parse_all
from hwbench.machine import this_machine
from toolchain.search.acceptance import broken, small_enough

SIZE = parse_all(["size<=10B", "p50<=5ms"])


@pytest.fixture
def bench():
    return SimpleNamespace(workshop=SimpleNamespace(name="m"), machine=this_machine())


def of_size(number, size, **changes):
    one = attempt(number, **changes)
    return dataclasses.replace(one, artifact=dataclasses.replace(one.artifact, size_bytes=size))


def test_what_is_too_large_goes_and_the_source_stays_to_compare_with(bench):
    source, large, small = small_enough([of_size(0, 40), of_size(1, 20), of_size(2, 10)], SIZE, bench)
    assert source.is_running
    assert small.is_running
    assert large.dropped.startswith("size<=10B: ")


def test_where_all_are_too_large_all_are_measured(bench):
    field = [of_size(0, 40), of_size(1, 20)]
    assert small_enough(field, SIZE, bench) == field


def test_what_was_timed_counts_too(bench):
    assert broken(of_size(0, 10), SIZE, bench) is None
    assert broken(of_size(0, 11), SIZE, bench).startswith("size<=10B: ")
    slow = attempt(0, 9)
    assert broken(dataclasses.replace(slow, blocks=slow.blocks * 6), SIZE, bench).startswith("p50<=5ms: ")
    assert broken(attempt(0, failure="it crashed", ms=9), [], bench) is None
