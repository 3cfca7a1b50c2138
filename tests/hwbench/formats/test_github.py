"""Annotations, read back as GitHub's runner reads them."""

from __future__ import annotations

import re

from formats_data import failed_result, few_samples_result

from hwbench.formats import github
from hwbench.results import profile_results

COMMAND = re.compile(r"::(error|warning|notice) title=([^:,\n]*)::([^\n]*)")


def annotations(results):
    """Kind, title and message of each line; every line is a command."""
    found = []
    for line in github.render(results).splitlines():
        match = COMMAND.fullmatch(line)
        assert match is not None, line
        found.append((match[1], decode(match[2]), decode(match[3])))
    return found


def decode(text):
    for code, character in (("%0A", "\n"), ("%0D", "\r"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


def test_each_verdict_is_an_annotation_of_its_kind(results):
    found = annotations(results)
    assert ("notice", "p90<=20ms: pass") in [(kind, title) for kind, title, _ in found]
    assert ("warning", "p90<=20ms: inconclusive") in [(kind, title) for kind, title, _ in found]
    errors = [title for kind, title, _ in annotations(profile_results.of([failed_result()])) if kind == "error"]
    assert "p90<=20ms: fail" in errors


def test_each_says_what_was_measured_on_what_and_how_sure(results):
    message = next(message for kind, title, message in annotations(results) if title == "p90<=20ms: pass")
    assert "mobilenet-v2 for x86-avx512-vnni, int8 (onnxruntime)" in message
    assert re.search(r"\([\d.]+ ms to [\d.]+ ms, 95% confidence\) is within 20 ms", message)
    assert "Xeon(R) Platinum 8481C" in message


def test_what_was_only_measured_is_a_notice_and_doubts_are_warnings():
    kinds = [kind for kind, _, _ in annotations(profile_results.of([few_samples_result()]))]
    assert kinds[0] == "notice"
    assert set(kinds[1:]) == {"warning"}


def test_nothing_in_a_text_ends_a_command_or_begins_another(hostile):
    assert annotations(hostile)
    assert annotations(profile_results.of([])) == [("warning", "edgewright", "There are no results.")]
