"""Debian packages of another architecture, unpacked into a folder by apt and dpkg, without root.

apt takes this machine's own sources, mirrors, proxies and keys, and checks every signature as ever; it keeps its state
in a folder of its own, and installs nothing.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hwbench.progress import Tick
from runtimes.errors import NotInstalledError, UsageError

_WANTED = ("python3-minimal", "libpython3-stdlib", "libstdc++6")
_ARCHITECTURES = {"aarch64": "arm64", "x86_64": "amd64"}
_UNREAD = "Failed to fetch"
_LIMIT_S = 1800.0


def unpack(arch: str, state: Path, root: Path, tick: Tick) -> None:
    """Download Python and the libraries that it needs, and unpack them.

    Args:
        arch: the architecture, as Linux names it.
        state: an empty folder for apt's index and the packages.
        root: the folder that stands for `/`, which is made.
        tick: called after each step.

    Raises:
        NotInstalledError: this is no Debian, nor a system made from it.
        UsageError: a package cannot be downloaded or unpacked; the message is apt's own.
    """
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise NotInstalledError(
                f"A sysroot is made of Debian's packages, and there is no {program}; set it up on a Debian, and copy "
                "the cache's folder 'sysroots'."
            )
    debian = _ARCHITECTURES[arch]
    apt = ["apt-get", "--quiet", *_options(debian, state)]
    said = _run([*apt, "update"], f"The list of Debian's packages for {debian} cannot be read")
    tick("read the list of packages")
    failed = f"Debian's packages for {debian} cannot be downloaded"
    if unread := [line for line in said.splitlines() if _UNREAD in line]:
        failed += f" ({unread[0].removeprefix('W: ').strip()})"  # apt goes on without a list that it cannot read
    _run([*apt, "install", "--yes", "--no-install-recommends", "--download-only", *_WANTED], failed)
    tick("downloaded the packages")
    root.mkdir()
    for package in sorted((state / "cache/archives").glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(package), str(root)], f"'{package.name}' cannot be unpacked")
    for name in ("bin", "lib", "lib64", "sbin"):  # links of a newer Debian, which no single package holds
        if not (root / name).exists() and (root / "usr" / name).is_dir():
            (root / name).symlink_to(f"usr/{name}")
    tick("unpacked the packages")


def _options(debian: str, state: Path) -> list[str]:
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True)
    (state / "status").touch()  # nothing is installed, so that apt downloads all of it
    settings = {
        "APT::Architecture": debian,
        "APT::Architectures::": debian,
        "APT::Sandbox::User": "",  # the folder is the user's own, also if that is root
        "Acquire::Languages": "none",
        "Dir::State": state,
        "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
    }
    return [part for name, value in settings.items() for part in ("--option", f"{name}={value}")]


def _run(command: Sequence[str], failed: str) -> str:
    """Run a program, and return what it wrote to stderr."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise UsageError(f"{failed}: no answer in {_LIMIT_S / 60:.0f} minutes.") from None
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("E: ")] or done.stderr.splitlines()
        raise UsageError(f"{failed}: {said[-1].removeprefix('E: ') if said else 'it gave no reason'}")
    return done.stderr
