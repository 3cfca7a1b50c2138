"""Memory as Linux reports it, in bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtimes.sampling import peak_memory
from runtimes.sampling.peak_memory import peak_bytes, resident_bytes


@pytest.mark.skipif(resident_bytes() is None, reason="this system has no /proc/self")
def test_memory_is_read_in_bytes() -> None:
    resident, peak = resident_bytes(), peak_bytes()
    assert resident is not None
    assert peak is not None
    assert 5 << 20 < resident <= peak + (1 << 20)  # an interpreter with NumPy has some tens of MiB
    block = np.ones(64 << 20, np.uint8)
    grown, grown_peak = resident_bytes(), peak_bytes()
    assert grown is not None
    assert grown_peak is not None
    assert grown - resident > block.nbytes // 2
    assert grown_peak >= grown - (1 << 20)


@pytest.mark.skipif(resident_bytes() is None, reason="this system has no /proc/self")
def test_a_peak_stays_when_its_memory_is_given_back() -> None:
    block = np.ones(64 << 20, np.uint8)
    peak, resident = peak_bytes(), resident_bytes()
    assert peak is not None
    assert resident is not None
    del block
    later_peak, later = peak_bytes(), resident_bytes()
    assert later_peak is not None
    assert later is not None
    assert later < resident - (32 << 20)
    assert later_peak >= peak - (1 << 20)  # Linux counts pages in batches, so that its figures err by some


def test_a_system_without_proc_has_no_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak_memory, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(peak_memory, "_STATM", tmp_path / "statm")
    assert (peak_bytes(), resident_bytes()) == (None, None)
    (tmp_path / "status").write_text("Name: python\n")
    assert peak_bytes() is None
