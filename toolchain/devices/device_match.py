"""Match of a device with this machine: it tells which figures that are measured here hold for the device."""

from __future__ import annotations

from dataclasses import dataclass

from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine
from runtimes.profile import HardwareProfile

_ENGINES = (
    "Engines do not run on this machine: their accuracy is that of the same graph on ONNX Runtime. To compile and "
    "check a bundle that carries a model and a plan, run on the device: python -m runtimes compile BUNDLE"
)


@dataclass(frozen=True)
class DeviceMatch:
    """A profile, compared with this machine.

    Attributes:
        is_here: this machine is such a device, so that its latency is measured here.
        caveats: sentences on what the figures do not cover.
    """

    is_here: bool
    caveats: tuple[str, ...]


def device_match(profile: HardwareProfile, machine: Machine) -> DeviceMatch:
    """Compare a profile with this machine, and write the caveats of figures that are measured on it."""
    if not device_profiles.fits(profile, machine):
        return DeviceMatch(
            False,
            (
                f"Latency and memory were not measured: this machine ({machine.cpu}, {machine.arch}) is not "
                f"a {profile.title}. Install edgewright[{_extras(profile)}] on the device and run: edgewright gate "
                "BUNDLE --budget ...",
                *((_ENGINES,) if profile.gpu is not None else ()),
            ),
        )
    beyond = sorted(set(machine.isa) & device_profiles.KERNEL_FLAGS - set(profile.cpu.isa))
    if not beyond or profile.gpu is not None:
        return DeviceMatch(True, ())
    caveat = f"This machine has {', '.join(beyond)} which {profile.name} does not ask for"
    if not device_profiles.has_same_kernels(profile, machine):
        return DeviceMatch(True, (f"{caveat}: without it, int8 is slower and may saturate.",))
    return DeviceMatch(True, (f"{caveat}; a machine that just meets the profile may be slower.",))


def _extras(profile: HardwareProfile) -> str:
    """List the extras that the device needs to run and measure bundles; a Jetson's JetPack brings TensorRT."""
    if profile.tensorrt is None:
        return "onnxruntime,hwbench"
    own = "pycuda" if profile.tensorrt.source == "jetpack" else "tensorrt"
    return ",".join([*(own if name == "tensorrt" else name for name in profile.runtimes), "hwbench"])
