"""Device profiles: one TOML file each, under `profiles/`."""

from __future__ import annotations

import importlib.resources
import re
import sys
from collections.abc import Collection
from pathlib import Path

from hwbench.machine.identity import Machine
from runtimes.bundles.names import text_fault
from runtimes.codec import decode
from runtimes.errors import UsageError
from runtimes.profile import Gpu, HardwareProfile

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


KERNEL_FLAGS = frozenset(
    {"avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimdhp", "asimddp", "i8mm"}
)
"""The flags that make runtimes choose faster kernels, or kernels that round otherwise."""

INT32_SUMS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
"""The flags of instructions that sum products of u8 and s8 in int32; x86 without them sums pairs in int16, which
saturate (onnxruntime#12072).
"""


def names() -> tuple[str, ...]:
    """List the known devices."""
    files = importlib.resources.files("profiles").iterdir()
    return tuple(sorted(file.name[: -len(".toml")] for file in files if file.name.endswith(".toml")))


def load(name: str) -> HardwareProfile:
    """Load a profile by name, or from a file of the user's own that ends in .toml.

    Raises:
        UsageError: the profile was not found, or its file is wrong; says which key and what was expected.
    """
    if name.endswith(".toml"):
        return read(Path(name))
    if name not in names():
        raise UsageError(f"Unknown profile '{name}'; choose from {', '.join(names())}, or give a .toml file.")
    text = importlib.resources.files("profiles").joinpath(f"{name}.toml").read_text("utf-8")
    return parse(text, f"profiles/{name}.toml", name)


def read(path: Path) -> HardwareProfile:
    """Read a profile from a file.

    Raises:
        UsageError: the file is missing or wrong.
    """
    try:
        return parse(path.read_text("utf-8"), str(path), path.stem)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Profile '{path}' cannot be read: {error}.") from None


def parse(text: str, where: str, stem: str) -> HardwareProfile:
    """Parse a profile from TOML; `where` is its name in errors, `stem` the name that it must have."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: not valid TOML: {error}.") from None
    if (fault := text_fault(data)) is not None:
        raise UsageError(f"{where} {fault}.")
    profile = decode(HardwareProfile, data, where)
    if profile.name != stem:
        raise UsageError(f"{where}: 'name' is {profile.name!r}; it must be the file's name, {stem!r}.")
    return profile


def detect(machine: Machine) -> HardwareProfile:
    """Find the profile that fits a machine best: its GPU's, then its board's, then the one that needs the most of its
    instructions.

    Raises:
        UsageError: no profile fits.
    """
    fitting = [profile for profile in map(load, names()) if fits(profile, machine)]
    if not fitting:
        raise UsageError(
            f"No profile fits this machine ({machine.arch}, {machine.cpu}); "
            "write one and pass it as --profile FILE.toml."
        )
    return max(fitting, key=lambda profile: (profile.gpu is not None, profile.board is not None, len(profile.cpu.isa)))


def fits(profile: HardwareProfile, machine: Machine) -> bool:
    """Tell whether a machine is the device, or one like it."""
    if profile.arch != machine.arch or not set(profile.cpu.isa) <= set(machine.isa):
        return False
    if profile.board is not None:  # its GPU is soldered on, and JetPack before 6 has no nvidia-smi to name it
        return profile.board in (machine.board or "")
    return profile.gpu is None or any(_is_gpu(profile.gpu, gpu) for gpu in machine.gpus)


def has_same_kernels(profile: HardwareProfile, machine: Machine) -> bool:
    """Tell whether int8 computes on a machine as on the device: it fits, and sums as the profile's instructions do."""
    alike = sums_in_int32(profile.arch, profile.cpu.isa) or not sums_in_int32(machine.arch, machine.isa)
    return fits(profile, machine) and alike


def sums_in_int32(arch: str, isa: Collection[str]) -> bool:
    """Tell whether int8 products are summed without saturating: by x86's VNNI, and on every Arm core."""
    return arch == "aarch64" or not INT32_SUMS.isdisjoint(isa)


def other_kernels(profile: HardwareProfile, machine: Machine) -> str:
    """Name this machine's kernels, as what computed, if a device has others; empty if it has the same."""
    return "" if has_same_kernels(profile, machine) else f"this machine's kernels ({machine.arch})"


def mismatch(profile: HardwareProfile) -> str:
    """Describe in one clause that this machine is not the profile's device."""
    return f"this machine does not fit the profile {profile.name} ({profile.title})"


def _is_gpu(wanted: Gpu, listed: str) -> bool:
    """Tell whether nvidia-smi's "NVIDIA A100-SXM4-80GB, 8.0" is an "A100". Whole words are compared: an "L40S" is no
    "L4".
    """
    name, _, capability = listed.rpartition(",")
    words, wanted_words = set(re.split(r"[\s-]+", name)), set(wanted.model.split())
    laptop = "Laptop" in words and "Laptop" not in wanted_words  # the desktop card's name on a smaller chip
    return capability.strip() == wanted.compute_capability and wanted_words <= words and not laptop
