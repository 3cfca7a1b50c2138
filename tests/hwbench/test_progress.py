"""What a person sees of long steps, and what a log sees."""

from __future__ import annotations

from hwbench.progress import bar, say


def test_a_bar_within_a_bar_shows_both_and_what_is_said(capfd, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes any stream for a terminal then
    with bar("outer", 2) as outer:
        with bar("inner", 3) as inner:
            inner("first")
            say("said [meanwhile]")
        outer("done")
    shown = capfd.readouterr().err
    assert all(text in shown for text in ("outer", "inner", "0/2", "said [meanwhile]"))


def test_away_from_a_terminal_only_what_is_said_is_shown(capfd):
    with bar("outer", 2) as outer, bar("steps that nobody counted", None) as inner:
        say("x" * 200)
        inner("")
        outer("")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "x" * 200 + "\n")
