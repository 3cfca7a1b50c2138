"""A report says when the ranges of int8 are those of a few samples."""

from __future__ import annotations

from types import SimpleNamespace

from search_parts import trial

from toolchain.pipeline.report_notes import calibration_notes


def test_a_few_calibration_samples_draw_one_line():
    def notes(n, number=1):
        calibration = SimpleNamespace(n=n) if n is not None else None
        return calibration_notes([trial(number)], SimpleNamespace(builder=SimpleNamespace(calibration=calibration)))

    (one,) = notes(1)
    assert one.startswith("int8's ranges were observed on 1 calibration sample; ")
    assert len(notes(31)) == 1
    assert notes(32) == notes(None) == notes(1, number=0) == []
