"""What can be said on this machine about a device."""

from __future__ import annotations

from dataclasses import dataclass

from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine
from runtimes.profile import HardwareProfile

# With these, the processor sums products of u8 and s8 in int32.
_INT32_SUMS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})

_ENGINES = (
    "Engines do not run here: the accuracy beside them is that of the same graph on ONNX Runtime. A bundle that "
    "carries a model and a plan is compiled and checked on the device by: python -m runtimes compile BUNDLE"
)


@dataclass(frozen=True)
class DeviceMatch:
    """A profile, seen from a machine.

    Attributes:
        is_here: latency measured on the machine is the profile's.
        caveats: what the figures do not say.
    """

    is_here: bool
    caveats: tuple[str, ...]


def device_match(profile: HardwareProfile, machine: Machine) -> DeviceMatch:
    """Whether a machine is the device, and what must be said beside figures taken on it."""
    if not device_profiles.fits(profile, machine):
        return DeviceMatch(
            False,
            (
                f"Latency and memory were not measured: this machine ({machine.cpu}, {machine.arch}) is no "
                f"{profile.title}. Install edgewright[{_extras(profile)}] there and run: edgewright gate BUNDLE "
                "--budget ...",
                f"Accuracy was computed on this machine ({machine.arch}); the device's kernels may round otherwise.",
                *((_ENGINES,) if profile.gpu is not None else ()),
            ),
        )
    beyond = sorted(set(machine.isa) & device_profiles.KERNEL_FLAGS - set(profile.cpu.isa))
    if not beyond or profile.gpu is not None:
        return DeviceMatch(True, ())
    caveat = f"This machine has {', '.join(beyond)} beyond what {profile.name} asks for"
    if set(beyond) & _INT32_SUMS and not set(profile.cpu.isa) & _INT32_SUMS:
        # onnxruntime#12072: without them, int8 kernels add pairs of products in int16
        return DeviceMatch(True, (f"{caveat}: where it is missing, int8 is slower and may saturate.",))
    return DeviceMatch(True, (f"{caveat}; a machine that just meets the profile may be slower.",))


def _extras(profile: HardwareProfile) -> str:
    """What the device needs to run and measure its bundles; a Jetson has its TensorRT from JetPack."""
    if profile.tensorrt is None:
        return "onnxruntime,hwbench"
    own = "pycuda" if profile.tensorrt.source == "jetpack" else "tensorrt"
    return ",".join([*(own if name == "tensorrt" else name for name in profile.runtimes), "hwbench"])
