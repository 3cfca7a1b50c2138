"""Time limits that end a phase or the build."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.search import time_limit as clocks
from toolchain.search.time_limit import TimeLimit, TimeUp


def test_without_a_limit_it_goes_on():
    clock = TimeLimit()
    clock.check()
    assert not clock.is_over()
    assert clock.fitted(SamplingPlan(), 60, 1.0) == SamplingPlan()
    assert clock.stopped is None


def test_a_limit_ends_the_search_before_it_ends_the_measuring():
    clock = TimeLimit(100.0)
    clock._start -= 70
    with pytest.raises(TimeUp):
        clock.check()
    clock.check(1.0)
    assert clock.stopped == "The time limit of 100 s ended the search"
    clock._start -= 40
    with pytest.raises(TimeUp):
        clock.check(1.0)


def test_blocks_are_shortened_to_fit_what_is_left(monkeypatch):
    now = SimpleNamespace(s=70.0)
    monkeypatch.setattr(clocks, "time", SimpleNamespace(monotonic=lambda: now.s))
    clock = TimeLimit(100.0, _start=0.0)
    plan = clock.fitted(SamplingPlan(), blocks=20, startup_s=1.0)
    assert plan.time_limit_s == plan.duration_s == pytest.approx(0.5)
    now.s = 110.0
    assert clock.fitted(SamplingPlan(), blocks=20, startup_s=1.0).time_limit_s == 0.1


def test_the_first_ctrl_c_ends_a_phase_and_the_second_one_all(capfd):
    clock = TimeLimit()
    with clock.phase():
        raise KeyboardInterrupt
    assert clock.stopped == "Ctrl-C ended the search"
    assert "Ctrl-C again" in capfd.readouterr().err
    with pytest.raises(TimeUp):
        clock.check(1.0)  # nothing more is measured
    with pytest.raises(KeyboardInterrupt), clock.phase():
        raise KeyboardInterrupt


def test_where_there_is_nothing_to_keep_ctrl_c_ends_all():
    clock = TimeLimit()
    with pytest.raises(KeyboardInterrupt), clock.phase(lambda: False):
        raise KeyboardInterrupt
    assert clock.stopped is None
