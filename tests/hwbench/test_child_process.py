"""Errors for a process that failed."""

from __future__ import annotations

import pytest

from hwbench.child_process import run_module
from runtimes.errors import BackendError


def test_of_a_traceback_the_last_line_is_told(tmp_path, monkeypatch, capfd):
    (tmp_path / "broken.py").write_text("raise ValueError('no such thing')")
    monkeypatch.delenv("EDGEWRIGHT_TRACEBACK", raising=False)
    with pytest.raises(BackendError, match=r"^The process that runs the model failed: ValueError: no such thing$"):
        run_module("broken", [], tmp_path, 60)
    assert capfd.readouterr().err == ""
    monkeypatch.setenv("EDGEWRIGHT_TRACEBACK", "1")
    with pytest.raises(BackendError, match=r"no such thing$"):
        run_module("broken", [], tmp_path, 60)
    assert "Traceback (most recent call last):" in capfd.readouterr().err


def test_a_sentence_is_told_as_it_is(tmp_path):
    with pytest.raises(BackendError, match=r"^There is no file '.*nothing\.edge'\.$"):
        run_module("runtimes", ["verify", str(tmp_path / "nothing.edge")], tmp_path, 60)


def test_a_process_that_says_nothing_is_told_by_its_exit_code(tmp_path):
    (tmp_path / "silent.py").write_text("raise SystemExit(3)")
    with pytest.raises(BackendError, match=r"^The process that runs the model ended with exit code 3\.$"):
        run_module("silent", [], tmp_path, 60)
