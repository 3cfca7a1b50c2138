"""Names from models and reports stay text in each medium, whatever they hold."""

from __future__ import annotations

import csv
import dataclasses
import io
import re

import pytest
from formats_data import three_results
from hypothesis import given, settings
from hypothesis import strategies as some
from markdown_it import MarkdownIt

from hwbench.formats import _escape
from hwbench.results import profile_results
from runtimes import plugins
from runtimes.errors import one_line

ORDERS = (
    *("::error::", "\n::error file=a::b", "##[error]x", "##vso[task.setvariable]", "=1+1", "@SUM(A1)", "-1+2", "+1"),
    *("\u202egnp.exe", "\u2066x", "@octocat", "#1", "GH-1", "https://evil.example", "www.evil.example", "| a | b |"),
    *("# h", "> q", "- [ ] x", "1. x", "`c`", "_x_", "**b**", "<img src=x>", "[a](b)", "\x1b[31m", "\r", "%0A", "a,b"),
)
names = some.lists(some.sampled_from(ORDERS) | some.text(max_size=5), max_size=4).map("".join)
BIDIRECTIONAL = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
COMMAND = re.compile(r"(?m)^\s*::|##\w*\[")


@settings(max_examples=300, deadline=None)
@given(names)
def test_one_line_for_a_terminal_or_a_log(name):
    shown = one_line(name)
    assert shown.isprintable()
    assert not COMMAND.search(shown)
    assert one_line(shown) == shown


@settings(max_examples=300, deadline=None)
@given(names, names)
def test_cells_of_csv_are_no_formulas(one, other):
    out = io.StringIO()
    csv.writer(out).writerow(map(_escape.csv_cell, (one, other, -1.5)))
    ((*cells, number),) = csv.reader(io.StringIO(out.getvalue()))
    assert number == "-1.5"
    assert len(cells) == 2
    assert not any(cell.strip().startswith(("=", "+", "-", "@")) or BIDIRECTIONAL.search(cell) for cell in cells)


@settings(max_examples=300, deadline=None)
@given(names)
def test_markdown_is_one_paragraph_of_text(name):
    written = _escape.markdown(name)
    tokens = MarkdownIt("commonmark").enable("table").parse(written)
    kinds = {token.type for token in tokens}
    assert kinds <= {"paragraph_open", "inline", "paragraph_close"}
    children = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in children} <= {"text", "text_special", "html_inline"}
    assert {child.content for child in children if child.type == "html_inline"} <= {"<!-- -->"}
    assert not re.search(r"@\w|#\w|GH-\d|www\.|https?://|ftp://", written, re.IGNORECASE)


@settings(max_examples=300, deadline=None)
@given(names, names)
def test_an_annotation_is_one_command(title, message):
    written = f"::error title={_escape.github_title(title)}::{_escape.github(message)}"
    assert "\n" not in written
    assert "\r" not in written
    _, properties, rest = written.split("::", 2)
    assert properties == f"error title={_escape.github_title(title)}"
    assert rest == _escape.github(message)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("form", ["text", "markdown", "csv", "html", "junit", "github"])
def test_no_format_hands_an_order_on(form, order):
    result = profile_results.of([_renamed(order)])
    text = plugins.load("hwbench.formats", form, "format").render(result)
    assert not BIDIRECTIONAL.search(text)
    if form == "text":
        assert not COMMAND.search(text)
    if form == "github":
        assert all(re.match(r"::(error|warning|notice) title=[^:,\n]*::", line) for line in text.splitlines())


def _renamed(name):
    result = three_results().profiles[0]
    candidates = tuple(dataclasses.replace(each, name=name, reason=name) for each in result.candidates)
    return dataclasses.replace(result, model=name, profile=name, candidates=candidates, caveats=(name,))
