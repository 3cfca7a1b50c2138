"""Entries that trials become in the report."""

from __future__ import annotations

import dataclasses

from search_parts import trial

from toolchain.pipeline.report_entries import report_entry


def test_what_failed_was_not_built_and_says_why():
    entry = report_entry(trial(1, failure="no such operator"), None, None, None)
    assert (entry.status, entry.reason, entry.report) == ("not built", "no such operator", None)


def test_what_was_let_go_is_rejected_and_shows_what_screening_saw():
    entry = report_entry(trial(1, 3, 0.9, rejected="too slow"), None, None, None)
    assert (entry.status, entry.reason) == ("rejected", "too slow")
    assert (entry.screening.p50_ms, entry.screening.score) == (3, 0.9)


def test_every_reason_that_there_is_is_said():
    one = dataclasses.replace(trial(8, rejected="too large"), remark="int8 did not pay")
    assert report_entry(one, None, None, None).reason.startswith("too large; int8 did not pay; ")  # and what it keeps
