from __future__ import annotations

import pytest
from formats_data import many_field

from hwbench.formats import text
from hwbench.results import profile_results


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_line_is_wider_than_asked(width, results, hostile):
    for shown in (results, hostile, profile_results.of([many_field()])):
        assert max(map(len, text.render(shown, width=width).splitlines())) <= width


def test_without_a_terminal_it_is_80_wide(results, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert text.render(results) == text.render(results, width=80)


def test_intervals_show_where_there_is_room(results):
    assert "[14.6, 14.7]" not in text.render(results, width=80)
    assert "[14.6, 14.7]" in text.render(results, width=140)


def test_a_narrow_table_cuts_no_figure(results):
    assert "\N{HORIZONTAL ELLIPSIS}" not in text.render(results, width=80)


def test_every_candidate_and_verdict_has_its_line(results):
    lines = [line.split() for line in text.render(results, width=140).splitlines()]
    assert ["fp16", "on", "onnxruntime", "not built"] in [line[:4] for line in lines]
    assert ["int8", "on", "onnxruntime", "selected", "pass"] in [line[:5] for line in lines]
    assert ["p90<=20ms", "pass", "15.1", "ms"] in [line[:4] for line in lines]
    assert ["p90<=20ms", "inconclusive"] in [line[:2] for line in lines]


def test_colour_only_when_asked(results):
    assert "\x1b[" not in text.render(results, width=80)
    assert "\x1b[32mpass" in text.render(results, width=80, color=True)


def test_markup_in_names_is_shown_not_obeyed(hostile):
    assert "[e](f)" in text.render(hostile, width=140)
    assert "\x1b[31m" not in text.render(hostile, width=140, color=True)
