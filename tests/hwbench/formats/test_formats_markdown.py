from __future__ import annotations

import re

from formats_data import failed_field

from hwbench import field
from hwbench.formats import markdown


def tables(text):
    """Tables as lists of rows of cells."""
    for block in text.split("\n\n"):
        if block.startswith("|"):
            yield [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]


def test_every_row_has_as_many_cells_as_the_heading(results, hostile):
    for shown in (results, hostile):
        found = list(tables(markdown.render(shown)))
        assert len(found) == len(shown.fields)
        for table, each in zip(found, shown.fields):
            assert {len(row) for row in table} == {12}
            assert len(table) == len(each.entries) + 2


def test_hostile_text_starts_no_markup(hostile):
    text = markdown.render(hostile)
    assert not re.search(r"(?<!\\)<[a-zA-Z/]", text)
    assert not re.search(r"(?<!\\)`", text)
    assert "\n<script" not in text


def test_verdicts_are_words_and_budgets_read_as_typed(results):
    text = markdown.render(results)
    assert "- **pass** p90<=20ms: 15.1 ms" in text
    assert "- **inconclusive** p90<=20ms: raspberry-pi-5 was not here" in text
    assert "All profiles: **inconclusive**" in text
    assert text.isascii()


def test_where_none_was_chosen_every_verdict_names_its_candidate():
    text = markdown.render(field.of([failed_field()]))
    assert "- **fail** p90<=20ms, fp32 on onnxruntime: " in text
    assert "- **fail** accuracy_drop<=0.01, int8-dynamic on onnxruntime: " in text
