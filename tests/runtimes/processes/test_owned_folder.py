"""Temporary folders: what a killed process left is removed, and nothing else."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from runtimes.processes.owned_folder import owned_folder, temporary_files

ROOT = str(Path(__file__).parents[3])
HOLD = """
import sys, time, pathlib
from runtimes.processes.owned_folder import owned_folder
with owned_folder(pathlib.Path(sys.argv[1])) as folder:
    (folder / "samples.npz").touch()
    print(folder, flush=True)
    time.sleep(60)
"""


def make_old(folder: Path) -> None:
    os.utime(folder, (0, 0))


def test_what_a_killed_process_left_is_removed_and_what_a_running_one_holds_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": ROOT}, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        make_old(theirs)
        with owned_folder(tmp_path) as ours:
            assert sorted(tmp_path.iterdir()) == sorted([ours, theirs])
        other.send_signal(signal.SIGKILL)
    with owned_folder(tmp_path) as ours:
        assert list(tmp_path.iterdir()) == [ours]
    assert list(tmp_path.iterdir()) == []


def test_leftovers_in_a_folder_of_a_group_are_removed(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)  # so that what is made inside belongs to the group, and passes that on
    left = tmp_path / ".edgewright-abcd1234"
    left.mkdir(0o700)
    assert left.stat().st_mode & stat.S_ISGID
    make_old(left)
    with owned_folder(tmp_path) as ours:
        assert list(tmp_path.iterdir()) == [ours]


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    young, other_name, open_to_all = (
        tmp_path / name for name in (".edgewright-abcdefgh", ".edgewright-x", ".edgewright-abcd1234")
    )
    for folder, mode in ((young, 0o700), (other_name, 0o700), (open_to_all, 0o755)):
        folder.mkdir(mode)
    make_old(other_name)
    make_old(open_to_all)
    (tmp_path / ".edgewright-link1234").symlink_to(other_name)
    (tmp_path / ".edgewright-file1234").touch()
    before = sorted(tmp_path.iterdir())
    with owned_folder(tmp_path):
        pass
    assert sorted(tmp_path.iterdir()) == before


def test_temporary_files_of_a_command_and_its_children_are_in_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with temporary_files():
        (folder,) = tmp_path.iterdir()
        assert (tempfile.gettempdir(), os.environ["TMPDIR"]) == (str(folder), str(folder))
        (folder / "left").touch()
    assert list(tmp_path.iterdir()) == []
    assert (tempfile.gettempdir(), os.environ["TMPDIR"]) == (str(tmp_path), str(tmp_path))


def test_a_place_that_takes_no_folder_is_told_by_what_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with temporary_files():
        assert tempfile.gettempdir() == str(tmp_path / "none")
