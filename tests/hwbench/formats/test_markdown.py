from __future__ import annotations

import re

from formats_data import HOSTILE, failed_result, hostile_result, rendered, three_results
from markdown_it import MarkdownIt

from hwbench.formats._escape import clean


def tables(text):
    """Tables as lists of rows of cells."""
    for block in text.split("\n\n"):
        if block.startswith("|"):
            yield [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]


def test_every_row_has_as_many_cells_as_the_heading(results, hostile):
    for shown, make in ((results, three_results), (hostile, hostile_result)):
        found = list(tables(rendered("markdown", make)))
        assert len(found) == len(shown.profiles)
        for table, each in zip(found, shown.profiles):
            assert {len(row) for row in table} == {11}
            assert len(table) == len(each.candidates) + 2


def test_hostile_text_starts_no_markup():
    text = rendered("markdown", hostile_result).replace("<br>", "")
    assert not re.search(r"(?<!\\)<[a-zA-Z/]", text)
    assert not re.search(r"(?<!\\)`", text)
    assert "\n<script" not in text


def test_github_shows_a_table_and_every_text_as_it_is(results, hostile):
    """By markdown-it's parser of CommonMark with GitHub's tables."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for shown, make in ((results, three_results), (hostile, hostile_result)):
        tokens = parser.parse(rendered("markdown", make))
        kinds = [token.type for token in tokens]
        assert kinds.count("table_open") == kinds.count("heading_open") == len(shown.profiles)
        assert kinds.count("tr_open") == sum(1 + len(each.candidates) for each in shown.profiles)
        assert kinds.count("td_open") == 11 * sum(len(each.candidates) for each in shown.profiles)
        inside = [child for token in tokens for child in token.children or ()]
        assert {child.content for child in inside if child.type == "html_inline"} <= {"<br>", "<!-- -->"}
        assert {child.type for child in inside} == {"text", "strong_open", "strong_close", "html_inline"}
    said = "".join(child.content for child in inside if child.type == "text")
    assert " ".join(clean(HOSTILE).split()) in said


def test_verdicts_are_words_and_budgets_read_as_typed():
    text = rendered("markdown", three_results)
    assert "- **pass** p90<=20ms: p90 15.1 ms" in text
    assert "- **inconclusive** p90<=20ms: raspberry-pi-5 was not here" in text
    assert "All profiles: **inconclusive**" in text
    assert text.isascii()


def test_where_none_was_chosen_a_verdict_names_the_nearest_candidate():
    text = rendered("markdown", failed_result)
    assert "- **fail** p90<=20ms: 3 candidates, the nearest fp32 (onnxruntime): " in text
    assert "- **fail** accuracy_drop<=0.01: int8-dynamic (onnxruntime): " in text
