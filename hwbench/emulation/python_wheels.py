"""Python packages of another architecture: wheels that pip downloads, unpacked into a folder."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from hwbench.progress import Tick
from runtimes.errors import UsageError

_RETRYING = "WARNING: Retrying ("
_GLIBC_MINORS = range(17, 35)  # of the manylinux tags that a system with glibc 2.34 or later takes


def unpack(arch: str, python: str, versions: Mapping[str, str], downloads: Path, packages: Path, tick: Tick) -> None:
    """Download packages for another architecture, and unpack them.

    Args:
        arch: the architecture, as Linux names it.
        python: the version of its Python, as "3.11".
        versions: each package's version.
        downloads: a folder for the wheels, which is made.
        packages: the folder for the packages, which is made.
        tick: called after each step.

    Raises:
        UsageError: pip is missing, or cannot download a wheel; the message is pip's own.
    """
    tags = [f"manylinux2014_{arch}", *(f"manylinux_2_{minor}_{arch}" for minor in _GLIBC_MINORS)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += [
        "--only-binary",
        ":all:",
        "--implementation",
        "cp",
        "--python-version",
        python,
        "--dest",
        str(downloads),
    ]
    command += [part for tag in tags for part in ("--platform", tag)]
    command += [f"{name}=={version}" for name, version in versions.items()]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        wanted = ", ".join(f"{name} {version}" for name, version in versions.items())
        raise UsageError(f"pip cannot download {wanted} for Python {python} on {arch}: {pip_fault(done.stderr)}")
    tick("downloaded the wheels")
    for wheel in sorted(downloads.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
    tick("unpacked the wheels")


def pip_fault(stderr: str) -> str:
    """Find the reason for which pip failed in what it wrote."""
    if _RETRYING in stderr:  # pip goes on as if the index were empty
        return "the package index cannot be reached"
    said = [line for line in stderr.splitlines() if line.startswith("ERROR: ")] or stderr.splitlines()
    return said[-1].removeprefix("ERROR: ") if said else "it gave no reason"
