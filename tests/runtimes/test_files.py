"""Writing beside, then renaming."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from runtimes.errors import UsageError
from runtimes.files import replacing


def test_the_new_file_takes_the_old_one_s_place(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    target.write_text("old")
    with replacing(target) as beside:
        beside.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError("ours"), KeyboardInterrupt()])
def test_after_a_failure_the_old_file_is_there_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "x.json"
    target.write_text("old")

    def fail_half_way() -> None:
        with replacing(target) as beside:
            beside.write_text("half")
            raise error

    with pytest.raises(type(error)):
        fail_half_way()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    target = replacing(tmp_path / "no" / "x.json")
    with pytest.raises(UsageError, match=r"x\.json' cannot be written: No such file or directory\.$"), target:
        pass


def test_a_full_disk_is_not_the_path_s_fault(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    with pytest.raises(OSError, match="full"), replacing(target):
        raise OSError(errno.ENOSPC, "full")
    assert list(tmp_path.iterdir()) == []
