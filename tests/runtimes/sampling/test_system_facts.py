"""Reading the system that we are on."""

from __future__ import annotations

import os
import platform
import subprocess

import pytest

from runtimes.sampling import system_facts

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
    assert system_facts._cpu_name(cpuinfo) == name


@pytest.mark.parametrize(
    ("cpuinfo", "is_virtual"),
    [(XEON.format(flag="hypervisor"), True), (XEON.format(flag=""), False), (GRAVITON, False), ("", False)],
)
def test_a_hypervisor_shows_among_the_flags(cpuinfo, is_virtual):
    assert (system_facts._hypervisor(cpuinfo) is not None) == is_virtual


def test_processors_that_share_a_last_cache_show_the_same_list(tmp_path):
    assert system_facts._last_caches(tmp_path) == 1
    for number, shared in enumerate(["0-1", "0-1", "2-3", "2-3"]):
        for index, text in enumerate([str(number), str(number), shared]):
            folder = tmp_path / f"cpu{number}" / "cache" / f"index{index}"
            folder.mkdir(parents=True)
            (folder / "shared_cpu_list").write_text(f"{text}\n")
    (tmp_path / "cpufreq").mkdir()
    assert system_facts._last_caches(tmp_path) == 2


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
    assert system_facts._caches(tmp_path) == {"L1d": 49152, "L2": 2**21, "L3": 107520 * 1024}
    assert system_facts._caches(tmp_path / "none") == {}


def test_what_cannot_be_read_is_empty(tmp_path):
    (tmp_path / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\xff\x00")
    assert system_facts._read(tmp_path / "model").startswith("Raspberry Pi 5 Model B Rev 1.0")
    assert system_facts._read(tmp_path / "none") == ""
    assert system_facts._read(tmp_path) == ""


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
    assert system_facts._gpus() == gpus


def test_a_driver_that_does_not_answer_is_no_gpu(monkeypatch):
    def hang(*args, **kwargs):
        raise subprocess.TimeoutExpired("nvidia-smi", 10)

    monkeypatch.setattr(system_facts.shutil, "which", lambda name: "/bin/nvidia-smi")
    monkeypatch.setattr(system_facts.subprocess, "run", hang)
    assert system_facts._gpus() == ()


def test_without_nvidia_smi_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(system_facts.shutil, "which", lambda name: None)
    assert system_facts._gpus() == ()
