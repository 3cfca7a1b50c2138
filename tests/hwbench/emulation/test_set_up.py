"""Setting an emulated device up, by programs that do what apt, dpkg, pip and QEMU do, or fail as they do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hwbench.emulation import sysroot
from hwbench.emulation.set_up import set_up
from hwbench.machine import device_profiles
from hwbench.targets.emulated import find_emulated, open_emulated
from runtimes import cpu
from runtimes.errors import BackendError, NotInstalledError, UsageError

APT = """for word; do
  case $word in Dir::Cache=*) cache=${word#Dir::Cache=};; install) touch "$cache/archives/a.deb";; esac
done"""
DPKG = 'mkdir -p "$3/usr/bin" "$3/usr/lib" && touch "$3/usr/bin/python3.11" "$3/usr/lib/libc.so"'
UNREACHABLE = """for word; do
  case $word in
    update) echo "W: Failed to fetch a list" >&2; exit 0;;
    install) echo "E: Couldn't find any package" >&2; exit 100;;
  esac
done"""
PIP = """while [ "$1" != --dest ]; do shift; done
mkdir -p "$2" && cd "$2" && exec {python} -c \\
  "import zipfile; zipfile.ZipFile('numpy.whl', 'w').writestr('numpy.py', '')" """


@pytest.fixture
def rpi(monkeypatch, tmp_path):
    """A profile of another architecture, on a machine that has the programs and an empty cache."""
    monkeypatch.setattr(cpu, "arch", lambda: "x86_64")
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "cache"))
    return device_profiles.load("rpi5")


@pytest.fixture
def programs(monkeypatch, tmp_path):
    """Puts shell scripts in the place of programs; `pip` stands for this Python with its pip."""
    folder = tmp_path / "bin"
    folder.mkdir()
    real = sys.executable

    def put(**scripts: str) -> None:
        for name, script in scripts.items():
            file = folder / name.replace("_", "-").replace("x86-64", "x86_64")
            file.write_text(f"#!/bin/sh\n{script}\n")
            file.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(folder / "pip"))

    put(apt_get=APT, dpkg_deb=DPKG, pip=PIP.format(python=real), qemu_aarch64_static="exit 0")
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return put


def left(cache: Path) -> list[str]:
    return sorted(entry.name for entry in (cache / "sysroots").iterdir() if entry.suffix != ".lock")


def test_a_sysroot_is_made_once(rpi, programs, tmp_path):
    assert find_emulated(rpi) is None
    steps: list[str] = []
    made = set_up(rpi, steps.append)
    assert made.python.name == "python3.11"
    assert (made.packages / "numpy.py").is_file()
    assert (made.root / "lib").readlink() == Path("usr/lib")
    assert len(steps) == 6
    assert left(tmp_path / "cache") == [made.folder.name]
    programs(apt_get="exit 1")
    assert set_up(rpi, steps.append) == made
    assert len(steps) == 6
    assert open_emulated(rpi).sysroot == made


@pytest.mark.parametrize(
    ("broken", "error", "words"),
    [
        ({"apt_get": "echo 'E: Unable to fetch some archives' >&2; exit 100"}, UsageError, "Unable to fetch some"),
        ({"apt_get": UNREACHABLE}, UsageError, r"cannot be downloaded \(Failed to fetch a list\): Couldn't find"),
        ({"pip": "echo 'WARNING: Retrying (Retry(total=4' >&2; exit 1"}, UsageError, "index cannot be reached"),
        ({"dpkg_deb": "echo 'no space' >&2; exit 2"}, UsageError, "'a.deb' cannot be unpacked: no space"),
        ({"pip": "echo 'ERROR: No matching distribution' >&2; exit 1"}, UsageError, "No matching distribution"),
        (
            {"qemu_aarch64_static": "echo 'Error: no such file' >&2; exit 1"},
            BackendError,
            "does not run on an emulated",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_failure_is_one_sentence_and_leaves_nothing(rpi, programs, tmp_path, broken, error, words):
    programs(**broken)
    with pytest.raises(error, match=words):
        set_up(rpi, lambda done: None)
    assert left(tmp_path / "cache") == []
    assert find_emulated(rpi) is None


def test_a_program_that_is_missing_is_named_with_its_package(rpi, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalledError, match="qemu-aarch64-static; install Debian's qemu-user-static"):
        set_up(rpi, lambda done: None)
    (tmp_path / "qemu-aarch64").write_text("#!/bin/sh\n")
    (tmp_path / "qemu-aarch64").chmod(0o755)
    with pytest.raises(NotInstalledError, match="there is no apt-get"):
        set_up(rpi, lambda done: None)


def test_what_is_not_set_up_says_what_to_type(rpi, programs):
    with pytest.raises(UsageError, match="run: edgewright targets setup rpi5"):
        open_emulated(rpi)


@pytest.mark.parametrize("name", ["x86-64-v4-vnni", "jetson-orin-nano"])
def test_what_qemu_does_not_translate_is_refused(name):
    with pytest.raises(UsageError, match=r"since its profile has no \[emulation\]"):
        set_up(device_profiles.load(name), lambda done: None)


def test_another_version_of_a_package_takes_another_sysroot(rpi, programs, monkeypatch):
    made = set_up(rpi, lambda done: None)
    monkeypatch.setattr(sysroot, "version", lambda name: "9.9.9")
    assert sysroot.find("aarch64") is None
    assert sysroot.folder("aarch64") != made.folder
