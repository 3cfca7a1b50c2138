"""Files that describe an emulated processor, as `runtimes.cpu` and ONNX Runtime read them."""

from __future__ import annotations

import pytest

from hwbench.emulation import processor_files
from hwbench.machine import device_profiles
from runtimes import cpu

EMULATED = [profile for profile in map(device_profiles.load, device_profiles.names()) if profile.emulation is not None]


@pytest.mark.parametrize("profile", EMULATED, ids=lambda profile: profile.name)
def test_a_device_s_instruction_set_is_what_its_processor_shows(profile, tmp_path):
    processor_files.write(profile, profile.emulation.qemu_cpu, 3, tmp_path)
    flags = cpu.isa_flags.__wrapped__(tmp_path / "proc/cpuinfo")
    assert set(profile.cpu.isa) <= flags
    assert not {"avx512f", "avx512_vnni", "i8mm"} & flags


def test_there_are_as_many_processors_as_the_machine_has(tmp_path):
    rpi5 = device_profiles.load("rpi5")
    processor_files.write(rpi5, "cortex-a76", 3, tmp_path)
    assert (tmp_path / "proc/cpuinfo").read_text().count("processor") == 3
    assert "CPU part\t: 0xd0b" in (tmp_path / "proc/cpuinfo").read_text()
    assert (tmp_path / "sys/devices/system/cpu/possible").read_text() == "0-2\n"
