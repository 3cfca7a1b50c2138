from __future__ import annotations

import pytest
from formats_data import hostile_field, many_field, rendered, three_fields

from hwbench.formats import text


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_line_is_wider_than_asked(width):
    for make in (three_fields, hostile_field, many_field):
        assert max(map(len, rendered("text", make, width=width).splitlines())) <= width


def test_without_a_terminal_it_is_80_wide(results, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert text.render(results) == rendered("text", three_fields, width=80)


def test_intervals_show_where_there_is_room():
    assert "[14.6, 14.7]" not in rendered("text", three_fields, width=80)
    assert "[14.6, 14.7]" in rendered("text", three_fields, width=140)


def test_a_narrow_table_cuts_no_figure():
    assert "\N{HORIZONTAL ELLIPSIS}" not in rendered("text", three_fields, width=80)


def test_every_candidate_and_verdict_has_its_line():
    lines = [line.split() for line in rendered("text", three_fields, width=140).splitlines()]
    assert ["fp16", "on", "onnxruntime", "not"] in [line[:4] for line in lines]
    assert ["int8", "on", "onnxruntime", "selected", "pass"] in [line[:5] for line in lines]
    assert ["p90<=20ms", "pass", "15.1", "ms"] in [line[:4] for line in lines]
    assert ["p90<=20ms", "inconclusive"] in [line[:2] for line in lines]


def test_colour_only_when_asked():
    assert "\x1b[" not in rendered("text", three_fields, width=80)
    assert "\x1b[32mpass" in rendered("text", three_fields, width=80, color=True)


def test_markup_in_names_is_shown_not_obeyed():
    assert "[e](f)" in rendered("text", hostile_field, width=140)
    assert "\x1b[31m" not in rendered("text", hostile_field, width=140, color=True)
