"""A device's processor, emulated on this machine: it computes what the device computes, and its time says nothing."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hwbench.child_process import run_module
from hwbench.emulation import qemu, sysroot
from hwbench.emulation.sysroot import Sysroot
from runtimes.bundles.bundle import Bundle
from runtimes.errors import NotInstalledError, UnsupportedError, UsageError
from runtimes.profile import HardwareProfile


@dataclass(frozen=True)
class EmulatedTarget:
    """A runner on a device's emulated processor; see `open_emulated`.

    It measures nothing: QEMU translates the device's instructions, and takes 10 to 100 times as long.

    Attributes:
        sysroot: the device's system.
        run_limit_s: the longest that `run` may take before its process is killed.
    """

    profile: HardwareProfile
    sysroot: Sysroot
    run_limit_s: float = 3600.0

    @property
    def name(self) -> str:
        """The processor in words: "emulated cortex-a76"."""
        return f"emulated {qemu.qemu_cpu(self.profile)}"

    def run(self, bundle: Path, inputs: Path, outputs: Path) -> None:
        """See `Runner`.

        Raises:
            UnsupportedError: the bundle is for another runtime than ONNX Runtime.
            BackendError: the process failed; the message is the error that it wrote to stderr.
            CrashError: the process died or hung.
        """
        _check_runtime(bundle)
        with tempfile.TemporaryDirectory(prefix="edgewright-") as name:
            folder = Path(name)
            python = qemu.interpreter(self.profile, self.sysroot, folder)
            (folder / "work").mkdir()
            paths = ["--inputs", str(inputs.absolute()), "--outputs", str(outputs.absolute())]
            arguments = ["run", str(bundle.absolute()), *paths, "--any-machine"]
            run_module("runtimes", arguments, folder / "work", self.run_limit_s, python)


def find_emulated(profile: HardwareProfile) -> EmulatedTarget | None:
    """Open a device's emulated processor; None if it is not set up."""
    try:
        return open_emulated(profile)
    except (UsageError, NotInstalledError):
        return None


def open_emulated(profile: HardwareProfile) -> EmulatedTarget:
    """Open a device's emulated processor, which has to be set up.

    Raises:
        UsageError: the processor cannot be emulated, or is not set up.
        NotInstalledError: QEMU or a package is missing.
    """
    qemu.qemu_cpu(profile)
    qemu.find_program(profile.arch)
    found = sysroot.find(profile.arch)
    if found is None:
        raise UsageError(
            f"The emulated {profile.name} is not set up for this version of ONNX Runtime; "
            f"run: edgewright targets setup {profile.name}"
        )
    return EmulatedTarget(profile, found)


def _check_runtime(bundle: Path) -> None:
    with Bundle(bundle) as opened:
        runtime = opened.manifest.artifact.runtime
    if runtime != "onnxruntime":
        raise UnsupportedError(f"'{bundle}' is for {runtime}, and emulated devices run ONNX Runtime alone.")
