"""Telling two machines apart, and reading the one we are on."""

from __future__ import annotations

import dataclasses
import os
import platform
import subprocess

import pytest

from hwbench.machine import device_profiles
from hwbench.machine import identity as reading
from hwbench.machine.identity import this_machine
from runtimes import cpu
from runtimes.codec import decode, encode

XEON = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags\t\t: fpu vme avx2 {flag} fma
bugs\t\t: spectre_v1

processor\t: 1
model name\t: Another
"""

GRAVITON = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes asimdhp asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1
"""


def test_a_machine_is_the_same_as_itself(machine):
    assert machine.differences(machine) == ()
    assert this_machine().differences(this_machine()) == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"arch": "aarch64"}, "arch: aarch64 there, x86_64 here"),
        ({"cpu": "Other CPU"}, "cpu: Other CPU there, Some CPU here"),
        ({"isa": ("avx2", "fma", "sve")}, "isa: sve there, without those here"),
        ({"isa": ("avx2", "sve")}, "isa: sve there, fma here"),
        ({"cores": 2}, "cores: 2 there, 4 here"),
        ({"governor": "powersave"}, "governor: powersave there, none here"),
        ({"hypervisor": "KVM"}, "hypervisor: KVM there, none here"),
        ({"cpu_quota": 0.5}, "cpu_quota: 0.5 there, none here"),
        ({"board": "Raspberry Pi 5"}, "board: Raspberry Pi 5 there, none here"),
        ({"gpus": ("NVIDIA L4, 8.9",)}, "gpus: NVIDIA L4, 8.9 there, without those here"),
        ({"memory_bytes": 32 * 2**30}, "memory: 32 GiB there, 16 GiB here"),
    ],
)
def test_a_difference_is_one_phrase(machine, change, told):
    assert machine.differences(dataclasses.replace(machine, **change)) == (told,)


def test_two_gpus_are_not_one(machine):
    one, two = (dataclasses.replace(machine, gpus=("NVIDIA L4, 8.9",) * count) for count in (1, 2))
    assert one.differences(two) == ("gpus: NVIDIA L4, 8.9, NVIDIA L4, 8.9 there, NVIDIA L4, 8.9 here",)


@pytest.mark.parametrize(
    "change",
    [
        {"system": "Linux 6.8"},
        {"python": "3.13.0"},
        {"caches_bytes": {}},
        {"memory_bytes": int(15.9 * 2**30)},  # a kernel keeps more or less for itself
    ],
)
def test_what_does_not_change_latency_is_no_difference(machine, change):
    assert machine.differences(dataclasses.replace(machine, **change)) == ()


def test_every_difference_is_told_at_once(machine):
    other = dataclasses.replace(machine, cpu="Other CPU", cores=2, memory_bytes=2**30)
    assert [phrase.partition(":")[0] for phrase in machine.differences(other)] == ["cpu", "cores", "memory"]


def test_this_machine_is_what_the_system_says():
    found = this_machine()
    assert found.arch == cpu.arch()
    assert set(found.isa) <= cpu.isa_flags()
    assert list(found.isa) == sorted(found.isa)
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert found.memory_bytes > 2**27
    assert found.python == platform.python_version()
    assert found.cpu
    assert all(size > 0 for size in found.caches_bytes.values())
    assert decode(reading.Machine, encode(found), "machine") == found


def test_flags_that_no_kernel_depends_on_make_no_other_machine():
    assert not {"fpu", "sse2", "hypervisor", "syscall"} & set(this_machine().isa)
    assert device_profiles.KERNEL_FLAGS <= reading._TELLING_FLAGS


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        pytest.param(XEON.format(flag=""), "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", id="x86"),
        pytest.param(GRAVITON, "implementer 0x41, part 0xd0c", id="arm"),
        pytest.param("", platform.processor() or platform.machine(), id="no-cpuinfo"),
        pytest.param("CPU part\t: 0xd0c\n", platform.processor() or platform.machine(), id="half-of-it"),
    ],
)
def test_the_processors_name(cpuinfo, name):
    assert reading._cpu_name(cpuinfo) == name


@pytest.mark.parametrize(
    ("cpuinfo", "is_virtual"),
    [(XEON.format(flag="hypervisor"), True), (XEON.format(flag=""), False), (GRAVITON, False), ("", False)],
)
def test_a_hypervisor_shows_among_the_flags(cpuinfo, is_virtual):
    assert (reading._hypervisor(cpuinfo) is not None) == is_virtual


def test_processors_that_share_a_last_cache_show_the_same_list(tmp_path):
    assert reading._last_caches(tmp_path) == 1
    for number, shared in enumerate(["0-1", "0-1", "2-3", "2-3"]):
        for index, text in enumerate([str(number), str(number), shared]):
            folder = tmp_path / f"cpu{number}" / "cache" / f"index{index}"
            folder.mkdir(parents=True)
            (folder / "shared_cpu_list").write_text(f"{text}\n")
    (tmp_path / "cpufreq").mkdir()
    assert reading._last_caches(tmp_path) == 2


def test_caches_are_those_of_data_by_level(tmp_path):
    for index, (kind, level, size) in enumerate(
        [("Data", "1", "48K"), ("Instruction", "1", "32K"), ("Unified", "2", "2048K"), ("Unified", "3", "107520K")]
    ):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, value in (("type", kind), ("level", level), ("size", size)):
            (folder / name).write_text(f"{value}\n")
    (tmp_path / "index9").mkdir()  # some hypervisors show a level without its size
    (tmp_path / "uevent").write_text("")
    assert reading._caches(tmp_path) == {"L1d": 49152, "L2": 2**21, "L3": 107520 * 1024}
    assert reading._caches(tmp_path / "none") == {}


def test_what_cannot_be_read_is_empty(tmp_path):
    (tmp_path / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\xff\x00")
    assert reading._read(tmp_path / "model").startswith("Raspberry Pi 5 Model B Rev 1.0")
    assert reading._read(tmp_path / "none") == ""
    assert reading._read(tmp_path) == ""


@pytest.mark.parametrize(
    ("script", "gpus"),
    [
        ("echo 'NVIDIA L4, 8.9'; echo; echo 'Tesla T4, 7.5'", ("NVIDIA L4, 8.9", "Tesla T4, 7.5")),
        ("echo 'no devices were found'; exit 6", ()),
    ],
)
def test_gpus_are_what_nvidia_smi_lists(tmp_path, monkeypatch, script, gpus):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert reading._gpus() == gpus


def test_a_driver_that_does_not_answer_is_no_gpu(monkeypatch):
    def hang(*args, **kwargs):
        raise subprocess.TimeoutExpired("nvidia-smi", 10)

    monkeypatch.setattr(reading.shutil, "which", lambda name: "/bin/nvidia-smi")
    monkeypatch.setattr(reading.subprocess, "run", hang)
    assert reading._gpus() == ()


def test_without_nvidia_smi_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(reading.shutil, "which", lambda name: None)
    assert reading._gpus() == ()


@pytest.mark.parametrize(("quota", "processors"), [(None, 4), (0.5, 1), (2.5, 2), (8.0, 4)])
def test_a_quota_bounds_what_runs_at_once(quota, processors):
    machine = dataclasses.replace(this_machine(), cores=4, cpu_quota=quota)
    assert machine.processors == processors
