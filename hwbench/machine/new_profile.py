"""Profile of a machine that introduced itself: its own figures, and what is known of the closest device."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine
from runtimes.codec import encode
from runtimes.errors import UsageError
from runtimes.profile import Cpu, HardwareProfile, Memory

_GB = 1e9


def profile_of(
    machine: Machine, name: str, runtimes: Collection[str], copy_bytes_per_s: float, date: str
) -> HardwareProfile:
    """Describe a machine as a device to build for.

    Precisions and int8's scheme are those of the known profile that asks for the most of its instructions.

    Args:
        machine: the machine.
        name: the profile's name.
        runtimes: the runtimes that it has, or can have.
        copy_bytes_per_s: the speed of its memory, as measured.
        date: the day of the measurement, for the sources.

    Raises:
        UsageError: no known profile has such instructions, or none of its runtimes is on the machine.
    """
    closest = _closest(machine)
    shared = tuple(runtime for runtime in closest.runtimes if runtime in runtimes)
    if not shared:
        raise UsageError(f"{name} can have none of the runtimes {', '.join(closest.runtimes)}; install one there.")
    measured = f"measured on the machine, {date}: one thread copies an array that no cache holds"
    seen = f"as the machine's own system shows it, {date}"
    return dataclasses.replace(
        closest,
        name=name,
        title=machine.board or machine.cpu,
        threads=machine.processors,
        runtimes=shared,
        precisions={runtime: closest.precisions[runtime] for runtime in shared},
        quantization={key: value for key, value in closest.quantization.items() if key in shared},
        options={key: value for key, value in closest.options.items() if key in shared},
        cpu=Cpu(machine.cpu, machine.cores, None, machine.isa),
        memory=Memory(round(machine.memory_bytes / _GB, 1), round(copy_bytes_per_s / _GB, 1)),
        board=machine.board,
        emulation=closest.emulation if closest.board is not None and closest.board in (machine.board or "") else None,
        sources={
            "cpu.cores": seen,
            "memory.capacity_gb": seen,
            "memory.bandwidth_gb_per_s": measured,
            "precisions": f"profile {closest.name}",
        },
    )


def to_toml(profile: HardwareProfile) -> str:
    """Write a profile as the text of its file, which `device_profiles.parse` reads."""
    plain = {key: value for key, value in encode(profile).items() if value not in (None, {}, [])}
    return "\n".join(_lines(plain, ())).strip() + "\n"


def _closest(machine: Machine) -> HardwareProfile:
    """Choose the profile that fits; else the processor's that asks for the most of the machine's instructions."""
    known = [device_profiles.load(name) for name in device_profiles.names()]
    if any(device_profiles.fits(profile, machine) for profile in known):
        return device_profiles.detect(machine)
    processors = [profile for profile in known if profile.gpu is None and profile.arch == machine.arch]
    alike = [profile for profile in processors if set(profile.cpu.isa) <= set(machine.isa)]
    if not alike:
        raise UsageError(f"No known profile has the instructions of {machine.cpu} ({machine.arch}); write one by hand.")
    return max(alike, key=lambda profile: len(profile.cpu.isa))


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Write a table: its values first, and then the tables in it."""
    for key, value in table.items():
        if value is not None and not isinstance(value, Mapping):
            yield f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}"  # TOML writes these as JSON does
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield ""
            yield f"[{'.'.join(map(_key, (*path, key)))}]"
            yield from _lines(value, (*path, key))


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)
