"""Ways to prove on this machine what a device computes: its own kernels, emulated ones, exact arithmetic, or a plan."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Literal

from hwbench.emulation import sysroot
from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine
from runtimes.errors import EdgewrightError
from runtimes.profile import HardwareProfile

Way = Literal["native", "emulated", "exact arithmetic", "plan"]
"""The way: the device's kernels here, or on an emulated processor; the graph as written; an engine's plan."""


@dataclass(frozen=True)
class Proof:
    """The best way to prove a device's outputs.

    Attributes:
        profile: the device's name.
        missing: what it takes first, as a sentence; None if nothing is missing.
        note: what the proof does or does not cover.
    """

    profile: str
    way: Way
    note: str
    missing: str | None = None

    @property
    def is_ready(self) -> bool:
        """True if nothing is missing."""
        return self.missing is None


def anywhere(profile: HardwareProfile) -> Proof:
    """Find the best way to prove a device's outputs on a machine that is not such a device."""
    if profile.gpu is not None:
        chip = f"compute capability {profile.gpu.compute_capability}"
        ahead = ", or ahead of time by tensorrt-rtx" if "tensorrt-rtx" in profile.runtimes else ""
        return Proof(profile.name, "plan", f"engine for {chip}, compiled on the device{ahead}")
    if profile.emulation is not None:
        return Proof(profile.name, "emulated", f"QEMU's {profile.emulation.qemu_cpu}, with ONNX Runtime")
    if any(flag.startswith("avx512") for flag in profile.cpu.isa):
        return Proof(profile.name, "exact arithmetic", "QEMU's user mode does not translate AVX-512")
    return Proof(profile.name, "exact arithmetic", "its profile names no processor of QEMU's")


def here(profile: HardwareProfile, machine: Machine) -> Proof:
    """Find the best way to prove a device's outputs on this machine, and what it takes."""
    if device_profiles.has_same_kernels(profile, machine):
        return Proof(profile.name, "native", "this machine has its kernels")
    found = anywhere(profile)
    if found.way != "emulated":
        return found
    return Proof(profile.name, "emulated", found.note, _missing(profile))


def _missing(profile: HardwareProfile) -> str | None:
    if not any(shutil.which(f"qemu-{profile.arch}{end}") for end in ("-static", "")):
        return f"there is no qemu-{profile.arch}-static; install Debian's qemu-user-static"
    try:
        if sysroot.find(profile.arch) is None:
            return f"run: edgewright targets setup {profile.name}"
    except EdgewrightError as error:
        return str(error)
    return None
