"""Packages by name and version, fetched with the registries' ordinary clients and unpacked into the cache."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from runtimes import cache as user_cache
from runtimes.errors import EdgewrightError

# Only data and pure Python are taken from wheels, so that every machine may have the same ones, whatever its own
# Python is.
_SAME_WHEELS = ("--only-binary=:all:", "--python-version=3.11", "--platform=manylinux_2_28_x86_64")


class FetchError(EdgewrightError):
    """A package cannot be fetched; the message says which and why."""


def wheel(name: str, version: str, cache: Path | None = None) -> Path:
    """A Python package's files, unpacked and not installed.

    Args:
        name: the distribution.
        version: exactly this one.
        cache: where to keep it; by default `cache_root()`.

    Returns:
        The folder that would otherwise be site-packages.

    Raises:
        FetchError: pip is missing or does not find the package.
    """

    def fetch(folder: Path, downloads: Path) -> None:
        _call([sys.executable, "-m", "pip", "download", "--no-deps", *_SAME_WHEELS, f"{name}=={version}"], downloads)
        with zipfile.ZipFile(_only_file(downloads)) as archive:
            archive.extractall(folder)

    return _unpacked(f"pip/{name}-{version}", fetch, cache)


def debian(name: str, cache: Path | None = None) -> Path:
    """A Debian package's files, unpacked and not installed; the version is the one that this system offers.

    Returns:
        The folder that would otherwise be /.

    Raises:
        FetchError: apt-get or dpkg-deb is missing, or does not find the package.
    """

    def fetch(folder: Path, downloads: Path) -> None:
        _call(["apt-get", "download", name], downloads)
        _call(["dpkg-deb", "-x", str(_only_file(downloads)), str(folder)], downloads)

    return _unpacked(f"debian/{name}", fetch, cache)


def npm(name: str, version: str, cache: Path | None = None) -> Path:
    """An npm package's files, unpacked and not installed.

    Returns:
        The folder that holds its package.json.

    Raises:
        FetchError: npm is missing or does not find the package.
    """

    def fetch(folder: Path, downloads: Path) -> None:
        _call(["npm", "pack", f"{name}@{version}"], downloads)
        with tarfile.open(_only_file(downloads)) as archive:
            archive.extractall(folder, filter="data")

    return _unpacked(f"npm/{name.replace('/', '-')}-{version}", fetch, cache) / "package"


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Have `make` fill a folder, unless an earlier call did.

    It is filled beside its place and then renamed, so that a folder which is there is complete.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unfinished-") as beside:
        filled = Path(beside) / "filled"
        filled.mkdir()
        make(filled)
        try:
            filled.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was quicker, and its folder is as good
                raise
    return folder


def cache_root(cache: Path | None = None) -> Path:
    """Return the folder that everything is kept under: `cache`, or EDGEWRIGHT_CACHE, or the user's cache folder.

    Raises:
        FetchError: the user has no home, and no folder is given.
    """
    found = cache or user_cache.folder()
    if found is None:
        raise FetchError("There is no home folder to keep models in; set EDGEWRIGHT_CACHE to a folder.")
    return found


def _unpacked(name: str, fetch: Callable[[Path, Path], None], cache: Path | None) -> Path:
    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as downloads:
            fetch(folder, Path(downloads))

    return once(cache_root(cache) / "packages" / name, make)


def _call(command: Sequence[str], folder: Path) -> None:
    client = "pip" if "pip" in command else command[0]
    if shutil.which(command[0]) is None:
        raise FetchError(f"'{client}' is not on this machine, and '{command[-1]}' can only be fetched with it.")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()] or ["nothing"]
        about = [line for line in said if command[-1] in line] or said  # rather than where npm keeps its log
        raise FetchError(f"'{client}' could not fetch '{command[-1]}'; it said: {about[-1]}")


def _only_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file
