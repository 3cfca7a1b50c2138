"""The one way to write an output: whole or not at all, through links, into streams, with the mode that was there."""

from __future__ import annotations

import ast
import contextlib
import errno
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import runtimes
from runtimes.errors import UsageError
from runtimes.files import destination, replacing

ROOT = Path(runtimes.__file__).parents[1]
MODES = some.integers(0, 0o777).map(lambda mode: mode | 0o600)  # its owner may read and write


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    old = os.umask(mask)
    try:
        yield
    finally:
        os.umask(old)


def write(target: Path, text: str = "new") -> None:
    with replacing(target) as beside:
        beside.write_text(text)


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


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


@settings(max_examples=200, deadline=None)
@given(old=some.none() | MODES, links=some.integers(0, 3), mask=some.integers(0, 0o777).map(lambda m: m & 0o177))
def test_links_are_followed_and_modes_are_those_of_the_file_or_the_umask(
    old: int | None, links: int, mask: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, umask(mask):
        file = Path(folder, "elsewhere", "file")
        file.parent.mkdir()
        if old is not None:
            file.write_text("old")
            file.chmod(old)
        target = file
        for number in range(links):
            link = Path(folder, f"link{number}")
            link.symlink_to(target if number % 2 else os.path.relpath(target, folder))
            target = link
        with replacing(target) as beside:
            beside.write_text("new")
            assert file.exists() == (old is not None)  # until all is written
        assert file.read_text() == "new"
        assert target.is_symlink() == (links > 0)
        assert mode(file) == (0o666 & ~mask if old is None else old)
        assert list(file.parent.iterdir()) == [file]
        assert len(list(Path(folder).iterdir())) == 1 + links


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a file away")
def test_root_leaves_a_file_to_its_owner(tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.touch()
    os.chown(target, 12, 34)
    write(target)
    assert (target.stat().st_uid, target.stat().st_gid) == (12, 34)


def test_a_fifo_gets_the_bytes_and_stays(tmp_path: Path) -> None:
    fifo, read = tmp_path / "fifo", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: read.append(fifo.read_text()), daemon=True)
    reader.start()
    write(fifo, "new" * 50_000)
    reader.join(10)
    assert read == ["new" * 50_000]
    assert fifo.is_fifo()
    assert list(tmp_path.iterdir()) == [fifo]


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    link = tmp_path / "null"
    link.symlink_to(os.devnull)
    for target in (Path(os.devnull), link):
        write(target)
        assert target.is_char_device()
        assert destination(target) is None
    assert link.is_symlink()


def test_a_file_without_a_name_is_written_to(tmp_path: Path) -> None:
    """As /dev/stdout is, whose link leads to the name of a pipe, or of a file that was deleted."""
    with tempfile.TemporaryFile(dir=tmp_path) as unnamed:
        write(Path(f"/proc/self/fd/{unnamed.fileno()}"))
        assert unnamed.read() == b"new"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full")
def test_a_full_device_is_not_the_path_s_fault() -> None:
    with pytest.raises(OSError, match="No space left"):
        write(Path("/dev/full"))


def test_a_full_disk_is_not_the_path_s_fault(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    with pytest.raises(OSError, match="full"), replacing(target):
        raise OSError(errno.ENOSPC, "full")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused_before_anything_is(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    for name, reason in (
        ("no/x.json", "No such file or directory"),
        ("file/x.json", "Not a directory"),
        ("loop", "Too many levels of symbolic links"),
        (".", "Is a directory"),
    ):
        with pytest.raises(UsageError, match=f"cannot be written: {reason}"), replacing(tmp_path / name):
            raise AssertionError("it was to be refused")


@pytest.mark.skipif(os.getuid() != 0, reason="only root may make a device")
def test_a_disk_is_refused(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    try:
        os.mknod(disk, 0o600 | stat.S_IFBLK, os.makedev(7, 200))
    except PermissionError:
        pytest.skip("this container makes no devices")
    with pytest.raises(UsageError, match="disk' cannot be written: it is a disk or a socket"):
        write(disk)
    assert disk.is_block_device()


@pytest.mark.skipif(os.getuid() != 0, reason="this test becomes another user")
def test_a_file_that_is_read_only_stays(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    target = tmp_path / "x"
    target.write_text("old")
    target.chmod(0o444)
    child = os.fork()
    if child == 0:  # nobody, who may write the folder and not the file
        os.setresuid(65534, 65534, 65534)
        try:
            write(target)
        except UsageError as error:
            os._exit(7 if "Permission denied" in str(error) else 8)
        except BaseException:
            os._exit(9)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert target.read_text() == "old"


HOLD = """
import pathlib, sys, time
from runtimes.files import replacing
with replacing(pathlib.Path(sys.argv[1])) as temporary:
    temporary.write_text("a part")
    print(temporary, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_is_removed_and_what_a_running_one_writes_is_not(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    others = [tmp_path / name for name in (".report.json.1234567", ".report.json.12345678", ".other.json.12345678")]
    others[0].touch()
    others[1].mkdir()
    others[2].touch()
    (young := tmp_path / ".report.json.abcdef01").touch()
    for path in others:
        os.utime(path, (0, 0))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        for moment in (0, 4_000_000_000):  # the clock may have been set back since
            os.utime(theirs, (moment, moment))
            with replacing(file) as temporary:
                temporary.write_text("whole")
            assert theirs.exists()
        other.kill()
    with replacing(file) as temporary:
        temporary.write_text("whole again")
    assert sorted(tmp_path.iterdir()) == sorted([file, young, *others])


def test_nothing_else_replaces_files() -> None:
    """Only `runtimes/files.py` renames, changes modes, or makes files beside others.

    Some put whole folders into place, and two fill caches of their own on other machines, by digest; what runs on a
    board has the standard library alone.
    """
    folders = ("hwbench/emulation/set_up.py", "toolchain/sweep/results_folder.py")
    caches = ("hwbench/boards/agent.py", "hwbench/rack/worker_files.py")
    exempt = {ROOT / name for name in ("runtimes/files.py", *folders, *caches)}
    found = []
    for package in ("profiles", "runtimes", "hwbench", "toolchain"):
        for file in (ROOT / package).rglob("*.py"):
            if file in exempt:
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    name = node.func.attr
                    renames = name == "replace" and len(node.args) == 1 and not node.keywords
                    if renames or name in {"rename", "renames", "mkstemp", "NamedTemporaryFile", "chmod", "fchmod"}:
                        found.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert found == []
