"""Sysroots: the system of another architecture in a folder, with its Python, NumPy and ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from runtimes import cache, cpu
from runtimes.errors import NotInstalledError, UsageError

PACKAGES = ("numpy", "onnxruntime")
"""Packages that a sysroot holds, in the versions of this machine, so that a difference is the processor's."""


@dataclass(frozen=True)
class Sysroot:
    """A sysroot on disk.

    Attributes:
        folder: the folder of all its parts.
    """

    folder: Path

    @property
    def root(self) -> Path:
        """The folder that stands for `/`."""
        return self.folder / "root"

    @property
    def packages(self) -> Path:
        """The folder of Python packages."""
        return self.folder / "packages"

    @property
    def python(self) -> Path:
        """The interpreter, python3.N.

        Raises:
            UsageError: there is none.
        """
        found = sorted((self.root / "usr/bin").glob("python3.[0-9]*"))
        if not found:
            raise UsageError(f"The sysroot '{self.folder}' holds no Python; remove the folder, and set it up again.")
        return found[-1]


def is_needed(arch: str) -> bool:
    """Tell whether emulating an architecture takes a sysroot: this machine's own needs none."""
    return arch != cpu.arch()


def find(arch: str) -> Sysroot | None:
    """Find the sysroot of an architecture with this machine's versions of the packages; None if it is not there.

    That of this machine's own architecture is empty, and tells that somebody set it up.

    Raises:
        NotInstalledError: this machine lacks one of the packages.
        UsageError: there is no folder for caches.
    """
    found = Sysroot(folder(arch))
    return found if found.folder.is_dir() else None


def folder(arch: str) -> Path:
    """Name the folder of an architecture's sysroot, which need not be there.

    Raises:
        NotInstalledError: this machine lacks one of the packages.
        UsageError: there is no folder for caches.
    """
    parent = cache.folder("sysroots")
    if parent is None:
        raise UsageError("There is no folder for caches, so no sysroot; set EDGEWRIGHT_CACHE to one.")
    return parent / "-".join([arch, *(f"{name}-{number}" for name, number in versions().items())])


def versions() -> dict[str, str]:
    """Find the versions of the packages on this machine.

    Raises:
        NotInstalledError: one is not installed.
    """
    try:
        return {name: version(name) for name in PACKAGES}
    except PackageNotFoundError as missing:
        raise NotInstalledError(
            f"Emulation runs ONNX Runtime in this machine's version, and there is no {missing.name} here; install: "
            "pip install 'edgewright[onnxruntime]'"
        ) from None
