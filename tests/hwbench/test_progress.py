"""Progress of long steps, as a terminal and a log show it."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from hwbench import progress
from hwbench.progress import Stage, bar, begin_stage, clock, limit, say, staged_bar

STAGES = [Stage("x: make", 3, "make"), Stage("x: screen", 4, "screen"), Stage("x: pack", 1, "pack")]


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes any stream for a terminal then
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def seconds(monkeypatch):
    """The clock, which stands until it is set."""
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now.s))
    return now


def draw() -> None:
    """Refresh as rich does ten times a second."""
    shown = progress._shown.get()
    assert shown is not None
    shown.refresh()


def frames(capfd) -> str:
    """All that was drawn, without colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capfd.readouterr().err)


def test_a_bar_within_a_bar_shows_both_and_what_is_said(capfd, terminal):
    with bar("outer", 2) as outer:
        with bar("inner", 3) as inner:
            inner("first")
            say("said [meanwhile]")
        outer("done")
    shown = frames(capfd)
    assert all(text in shown for text in ("outer", "inner", "0/2", "said [meanwhile]"))


def test_away_from_a_terminal_only_what_is_said_is_shown(capfd):
    with bar("outer", 2) as outer, bar("steps that nobody counted", None) as inner:
        say("x" * 200)
        inner("")
        outer("")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "x" * 200 + "\n")


def test_a_terminal_shows_the_stage_and_what_was_done(capfd, terminal):
    with staged_bar("Building m", STAGES) as tick:
        begin_stage("x: make")
        tick("made int8")
        draw()
    assert re.search(r"make +\S+ 1/3 .* made int8", frames(capfd))


def test_where_there_is_little_room_the_last_words_are_cut_and_no_figure(capfd, terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with staged_bar("Building outlier", STAGES) as tick:
        begin_stage("x: make")
        tick("made bf16-storage + bf16 (onnxruntime), graph_optimization=extended")
        draw()
    drawn = frames(capfd)
    assert re.search(r"Building outlier .* 1/8 0:00:00 ETA", drawn)
    assert re.search(r"make .* 1/3 0:00:00 ETA \S+ made bf16.*\N{HORIZONTAL ELLIPSIS}", drawn)


def test_a_log_gets_a_line_for_each_stage(capfd):
    with staged_bar("Building m", STAGES) as tick:
        begin_stage("x: make")
        tick("made int8")
        begin_stage("x: pack")
    begin_stage("of no course")
    assert capfd.readouterr().err == "x: make\nx: pack\n"


def test_the_whole_bar_ends_with_the_last_step_and_not_before(capfd, terminal):
    """The first stage takes two more than expected, the second never begins, an unknown one takes two."""
    with staged_bar("Building m", STAGES) as tick:
        for stage, steps in (("x: make", 5), ("unheard of", 2), ("x: pack", 0)):
            begin_stage(stage)
            for _ in range(steps):
                tick("done")
                draw()
        draw()
    drawn = frames(capfd)
    whole = [(int(done), int(total)) for done, total in re.findall(r"Building m .*?(\d+)/(\d+)", drawn)]
    assert all(done < total == 8 for done, total in whole)
    assert whole == sorted(whole)
    assert whole[-1] == (7, 8)
    assert "5/5" in drawn  # the stage that took longer


def test_a_bar_of_more_steps_than_it_was_told_grows(capfd, terminal):
    with bar("steps", 1) as tick:
        for _ in range(3):
            tick("")
        draw()
    assert "3/3" in frames(capfd)


def test_what_is_left_follows_the_last_steps_and_a_time_limit(capfd, terminal, seconds):
    with staged_bar("Building m", [Stage("x", 10, "x")]) as tick:
        begin_stage("x")

        def left() -> str:
            draw()
            return re.findall(r"Building m .*?ETA ([\d:-]+)", frames(capfd))[-1]

        assert left() == "-:--:--"
        for now in (1.0, 2.0):
            seconds.s = now
            tick("")
        assert left() == "0:00:08"
        limit(5.0)
        assert left() == "0:00:05"
        seconds.s = 8.0
        assert left() == "0:00:08"  # the limit is over, and the work goes on all the same
        limit(None)
        assert left() == "0:00:08"


def test_a_stage_and_a_bar_within_it_have_each_their_own_time_left(capfd, terminal, seconds):
    with staged_bar("Building m", [Stage("x", 3, "x")]) as outer:
        begin_stage("x")
        for now in (2.0, 4.0):
            seconds.s = now
            outer("")
        with bar("peaks", 5) as inner:
            for now in (14.0, 24.0):
                seconds.s = now
                inner("")
            draw()
            found = re.findall(r"(\w+) +\S+ +\d/\d +\S+ ETA ([\d:]+)", frames(capfd))[-3:]
    assert found == [("m", "0:00:02"), ("x", "0:00:02"), ("peaks", "0:00:30")]


def test_of_a_time_limit_its_rest_is_left(capfd, terminal, seconds):
    with clock("Gating", 60.0) as tick:
        seconds.s = 45.0
        tick("round 1")
        draw()
        shown = frames(capfd)
    assert "ETA 0:00:15" in shown
    assert "round 1" in shown
