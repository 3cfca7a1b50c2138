"""The margin of speed, with intervals and in screening."""

from __future__ import annotations

from search_parts import trial

from hwbench.stats.intervals import Estimate
from toolchain.search.margin import as_fast_in_screening, is_as_fast


def test_a_few_permille_are_no_gain_however_sure_they_are():
    best = Estimate(10.0, 9.99, 10.01)
    assert is_as_fast(Estimate(10.29, 10.28, 10.3), best)
    assert not is_as_fast(Estimate(10.31, 10.3, 10.32), best)


def test_a_wide_interval_is_wider_than_the_margin():
    assert is_as_fast(Estimate(11.9, 11, 13), Estimate(10.0, 9, 12))


def test_screening_orders_what_was_measured_and_nothing_else():
    field = [trial(1), trial(2, 10), trial(3, 10.2), trial(4, 11)]
    assert as_fast_in_screening(field) == field[1:3]
    assert as_fast_in_screening(field[:1]) == []
