"""Setting up an emulated device: its sysroot is made once, beside others in the cache."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hwbench.child_process import run_module
from hwbench.emulation import debian_packages, python_wheels, qemu, sysroot
from hwbench.emulation.sysroot import Sysroot
from hwbench.progress import Tick
from runtimes.errors import BackendError, UsageError
from runtimes.processes.owned_folder import owned_folder
from runtimes.profile import HardwareProfile

STEPS = 6
"""Steps that `set_up` ticks."""

_LIMIT_S = 300.0


def set_up(profile: HardwareProfile, tick: Tick) -> Sysroot:
    """Make the sysroot of a device, unless it is there, and try it.

    It is made under a temporary name, tried, and renamed, so that none is ever found half made; several processes may
    ask for it at once.

    Args:
        profile: the device.
        tick: called after each step.

    Raises:
        UsageError: the processor cannot be emulated, or something cannot be downloaded.
        NotInstalledError: QEMU, apt or a package is missing.
        BackendError: the emulated processor does not run ONNX Runtime.
        OSError: the disk is full.
    """
    qemu.qemu_cpu(profile)
    qemu.find_program(profile.arch)
    place = sysroot.folder(profile.arch)
    place.parent.mkdir(parents=True, exist_ok=True)
    with _locked(place.with_name(f"{place.name}.lock")):
        if not place.is_dir():
            with owned_folder(place.parent) as work:
                made = _make(profile, work, tick)
                made.folder.rename(place)
    return Sysroot(place)


def _make(profile: HardwareProfile, work: Path, tick: Tick) -> Sysroot:
    made = Sysroot(work / "sysroot")
    made.folder.mkdir()
    if sysroot.is_needed(profile.arch):
        (work / "apt").mkdir()
        debian_packages.unpack(profile.arch, work / "apt", made.root, tick)
        python, versions = made.python.name.removeprefix("python"), sysroot.versions()
        python_wheels.unpack(profile.arch, python, versions, work / "wheels", made.packages, tick)
    _try(profile, made)
    tick("tried ONNX Runtime")
    return made


def _try(profile: HardwareProfile, made: Sysroot) -> None:
    with tempfile.TemporaryDirectory(prefix="edgewright-") as name:
        folder = Path(name)
        python = qemu.interpreter(profile, made, folder)
        (folder / "tried.py").write_text("import onnxruntime\n")
        try:
            run_module("tried", [], folder, _LIMIT_S, python)
        except BackendError as error:
            raise BackendError(f"ONNX Runtime does not run on an emulated {qemu.qemu_cpu(profile)}: {error}") from None


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold a lock, which the system releases when the process ends, however it ends."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            raise UsageError(f"'{file}' cannot be locked: {error.strerror}.") from None
        yield
