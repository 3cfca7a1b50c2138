"""QEMU's user mode: a Python of another processor, whose system calls are this machine's."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import runtimes
from hwbench.child_process import Interpreter
from hwbench.emulation import processor_files, sysroot
from hwbench.emulation.sysroot import Sysroot
from runtimes.errors import NotInstalledError, UsageError
from runtimes.profile import HardwareProfile

_KEPT = ("HOME", "LANG", "PATH", "TMPDIR", "EDGEWRIGHT_TRACEBACK")  # others lead to this machine's own packages


def qemu_cpu(profile: HardwareProfile) -> str:
    """Return QEMU's name of a device's processor.

    Raises:
        UsageError: QEMU has none.
    """
    if profile.emulation is None:
        how = "engines are planned" if profile.gpu is not None else "accuracy is computed by exact arithmetic"
        raise UsageError(f"{profile.name} cannot be emulated, since its profile has no [emulation]; {how} instead.")
    return profile.emulation.qemu_cpu


def find_program(arch: str) -> str:
    """Find the emulator of an architecture.

    Raises:
        NotInstalledError: there is none.
    """
    names = (f"qemu-{arch}-static", f"qemu-{arch}")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise NotInstalledError(
            f"Emulating {arch} needs QEMU's user mode, and there is no {names[0]}; install Debian's qemu-user-static."
        )
    return found


def interpreter(profile: HardwareProfile, system: Sysroot, folder: Path) -> Interpreter:
    """Make the Python that runs on a device's emulated processor.

    QEMU opens a file below `folder` instead of the machine's own where there is one of that name, so that neither root
    nor a namespace is needed.

    Args:
        profile: the device.
        system: the device's system; a device of this machine's architecture runs this machine's own Python.
        folder: an empty folder that outlives the interpreter.

    Raises:
        UsageError: the processor cannot be emulated.
        NotInstalledError: QEMU is missing.
    """
    cpu, root = qemu_cpu(profile), folder / "root"
    root.mkdir()
    processor_files.write(profile, cpu, os.cpu_count() or 1, root)
    emulator = (find_program(profile.arch), "-cpu", cpu, "-L", str(root))
    if not sysroot.is_needed(profile.arch):
        return Interpreter((*emulator, "-0", sys.executable, sys.executable))
    for entry in system.root.iterdir():
        if not (root / entry.name).exists():
            (root / entry.name).symlink_to(entry)
    code = folder / "code"
    code.mkdir()
    (code / "runtimes").symlink_to(Path(runtimes.__file__).parent)
    variables = {name: os.environ[name] for name in _KEPT if name in os.environ}
    variables["PYTHONPATH"] = f"{code}:{system.packages}"
    variables["PYTHONPYCACHEPREFIX"] = str(system.folder / "compiled")  # this machine may run another Python
    return Interpreter((*emulator, str(system.python)), variables)
