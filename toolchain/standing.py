"""What can be said on this machine about a device."""

from __future__ import annotations

from dataclasses import dataclass

from hwbench import devices
from hwbench.machine import Machine
from runtimes.profile import HardwareProfile


@dataclass(frozen=True)
class Standing:
    """A profile, seen from a machine.

    Attributes:
        is_here: latency measured on the machine is the profile's.
        caveats: what the figures do not say.
    """

    is_here: bool
    caveats: tuple[str, ...]


def standing(profile: HardwareProfile, machine: Machine) -> Standing:
    """Whether a machine is the device, and what must be said beside figures taken on it."""
    if not devices.fits(profile, machine):
        return Standing(
            False,
            (
                f"Latency and memory were not measured: this machine ({machine.cpu}, {machine.arch}) is no "
                f"{profile.title}. Copy the bundle there and run: edgewright gate BUNDLE --budget ...",
                f"Accuracy was computed with this machine's {machine.arch} kernels; the device's may round otherwise.",
            ),
        )
    beyond = sorted(set(machine.isa) & devices.KERNEL_FLAGS - set(profile.cpu.isa))
    if beyond and profile.gpu is None:
        return Standing(
            True,
            (
                f"This machine has {', '.join(beyond)} beyond what {profile.name} asks for; a machine that just meets "
                "the profile may be slower, and its int8 kernels may saturate.",
            ),
        )
    return Standing(True, ())
