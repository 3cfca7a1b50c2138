"""Counters that start over, and energy from power."""

from __future__ import annotations

import pytest

from runtimes.meters._kinds import Counter, Gauge


def test_a_counter_that_starts_over_goes_on() -> None:
    readings = iter([900, 950, 20, 30, 10])
    counter = Counter("package-0", lambda: next(readings), range_uj=1_000)
    assert [counter.drawn_uj() for _ in range(4)] == [50, 120, 130, 1_110]


def test_a_counter_without_an_end_may_not_go_back() -> None:
    readings = iter([900, 20])
    with pytest.raises(ValueError, match="gpu went back by 880 uJ"):
        Counter("gpu", lambda: next(readings)).drawn_uj()


def test_energy_is_the_integral_of_power() -> None:
    seconds, watts = iter([0, 1, 3]), iter([10, 20, 20])
    gauge = Gauge("VDD_IN", lambda: next(watts) * 1_000_000, lambda: next(seconds) * 1_000_000_000)
    assert gauge.drawn_uj() == 15_000_000  # one second at 15 W on average
    assert gauge.drawn_uj() == 55_000_000
