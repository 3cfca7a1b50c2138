"""Time limits that end a phase or the build."""

from __future__ import annotations

import contextlib
import signal
import threading
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


def test_shares_are_of_what_is_left_when_the_search_begins():
    clock = TimeLimit(100.0)
    clock._start -= 50
    clock.begin_search()
    assert clock.left_s(0.6) == pytest.approx(30, abs=1)
    assert clock.left_s() == pytest.approx(50, abs=1)


@pytest.fixture
def no_other_alarm():
    """No alarm but our own, in place of that of a test's time limit."""
    delay_s, interval_s = signal.setitimer(signal.ITIMER_REAL, 0.0)
    yield
    signal.setitimer(signal.ITIMER_REAL, delay_s, interval_s)


def wait_in_spite_of_errors():
    with contextlib.suppress(Exception):
        threading.Event().wait(30)


def test_an_alarm_ends_what_no_check_would_end(no_other_alarm):
    clock = TimeLimit(0.05)
    with pytest.raises(TimeUp), clock.ends(1.0):
        wait_in_spite_of_errors()
    assert clock.stopped == "The time limit of 0.05 s ended the search"
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_an_alarm_that_was_not_needed_never_rings(no_other_alarm):
    handler = signal.getsignal(signal.SIGALRM)
    with TimeLimit(10.0).ends(1.0):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) == handler


def test_an_inner_alarm_gives_way_to_the_outer_one(no_other_alarm):
    clock = TimeLimit(100.0)
    with clock.ends(1.0):
        with clock.ends(0.5):
            assert signal.getitimer(signal.ITIMER_REAL)[0] <= 50
        assert 50 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100


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
