"""Files under /proc and /sys that describe a processor, as a device's own Linux shows them.

ONNX Runtime reads them beside the processor's registers to choose its kernels, and dies on an emulated Arm core that is
described by the files of an x86 machine. `runtimes.cpu` reads the instruction set there.
"""

from __future__ import annotations

from pathlib import Path

from runtimes.profile import HardwareProfile

# Implementer and part of Arm's MIDR register, by QEMU's names; from Linux, arch/arm64/include/asm/cputype.h.
_ARM_PARTS = {
    "cortex-a35": 0xD04,
    "cortex-a53": 0xD03,
    "cortex-a57": 0xD07,
    "cortex-a72": 0xD08,
    "cortex-a76": 0xD0B,
    "neoverse-n1": 0xD0C,
}
_ARM_IMPLEMENTER = 0x41
_BASE_FLAGS = {"aarch64": "fp asimd cpuid", "x86_64": "fpu fxsr sse sse2 pni ssse3 sse4_1 sse4_2 avx"}


def write(profile: HardwareProfile, qemu_cpu: str, processors: int, root: Path) -> None:
    """Write the files of an emulated processor below a folder.

    Args:
        profile: the device, whose instruction set the files name.
        qemu_cpu: QEMU's name of the processor.
        processors: number of processors, which has to be that of the machine that emulates.
        root: the folder that stands for `/`.
    """
    describe = _arm if profile.arch == "aarch64" else _x86
    flags = dict.fromkeys([*_BASE_FLAGS[profile.arch].split(), *profile.cpu.isa])  # each once, in order
    parts = [describe(number, qemu_cpu, " ".join(flags)) for number in range(processors)]
    online = root / "sys/devices/system/cpu"
    (root / "proc").mkdir()
    online.mkdir(parents=True)
    (root / "proc/cpuinfo").write_text("\n".join(parts))
    for name in ("possible", "present", "online"):
        (online / name).write_text(f"0-{processors - 1}\n")


def _arm(number: int, qemu_cpu: str, flags: str) -> str:
    return (
        f"processor\t: {number}\nBogoMIPS\t: 100.00\nFeatures\t: {flags}\n"
        f"CPU implementer\t: {_ARM_IMPLEMENTER:#x}\nCPU architecture: 8\nCPU variant\t: 0x0\n"
        f"CPU part\t: {_ARM_PARTS.get(qemu_cpu, 0):#05x}\nCPU revision\t: 0\n"
    )


def _x86(number: int, qemu_cpu: str, flags: str) -> str:
    model = f"vendor_id\t: GenuineIntel\nmodel name\t: QEMU {qemu_cpu}"
    return f"processor\t: {number}\n{model}\nflags\t\t: {flags} hypervisor\n"
