"""Output folders leave no trace of a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtimes.errors import UsageError
from toolchain.output_folder import output_folder


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_an_output_folder_is_made_with_its_parents(tmp_path):
    with output_folder(tmp_path / "a" / "b") as folder:
        (folder / "result").touch()
    assert names(tmp_path / "a" / "b") == ["result"]


def test_what_was_made_goes_again_when_the_work_fails(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(KeyboardInterrupt), output_folder(tmp_path / "a" / "b" / "c"):
        raise KeyboardInterrupt
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == []


def test_what_was_there_before_stays_when_the_work_fails(tmp_path):
    (tmp_path / "earlier").touch()
    with pytest.raises(ValueError, match="no"), output_folder(tmp_path):
        raise ValueError("no")
    assert names(tmp_path) == ["earlier"]


def test_what_the_work_left_stays_when_it_fails(tmp_path):
    with pytest.raises(FileExistsError), output_folder(tmp_path / "out") as folder:
        [(folder / "finished").touch(exist_ok=False) for _ in range(2)]
    assert names(tmp_path / "out") == ["finished"]


@pytest.mark.parametrize("path", ["file", "file/out", "file/deeper/out"])
def test_a_file_in_the_way_is_named(tmp_path, path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(
        UsageError, match=rf"output folder '.*{path}' cannot be written to: .*; give another with --out"
    ):
        output_folder(tmp_path / path).__enter__()
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc to be refused by")
def test_a_file_system_that_takes_no_files_is_named():
    with pytest.raises(UsageError, match="output folder '/proc' cannot be written to"):
        output_folder(Path("/proc")).__enter__()
