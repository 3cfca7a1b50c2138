"""Threads of candidates on machines with fewer cores."""

from __future__ import annotations

from toolchain.candidates.candidate import list_candidates
from toolchain.candidates.thread_count import within_cores


def test_no_candidate_has_more_threads_than_there_are_cores_and_it_is_said(device):
    found, notes = within_cores(list_candidates(device, threads=64), 2)
    assert {one.settings.threads for one in found} == {2}
    assert "64 threads" in notes[0]
    assert "2 cores" in notes[0]


def test_what_fits_stays_as_it_was(device):
    listed = list_candidates(device, threads=2)
    assert within_cores(listed, 2) == (listed, ())
    assert within_cores(listed, 8) == (listed, ())
