"""Claims that may be made here of a device that may be elsewhere."""

from __future__ import annotations

import dataclasses

from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine
from toolchain.devices.device_match import device_match

VNNI = device_profiles.load("x86-64-v4-vnni")
MACHINE = Machine("x86_64", "Some CPU", tuple(sorted(VNNI.cpu.isa)), 4, 2**33, "Linux", "3.12")


def test_the_device_itself_needs_no_caveat():
    assert device_match(VNNI, MACHINE) == (device_match(VNNI, MACHINE))
    assert device_match(VNNI, MACHINE).is_here
    assert device_match(VNNI, MACHINE).caveats == ()


def test_a_machine_with_more_than_the_profile_asks_for_says_what():
    found = device_match(device_profiles.load("x86-64-v3-avx2"), MACHINE)
    assert found.is_here
    assert "avx512_vnni" in found.caveats[0]
    assert "int8 is slower and may saturate" in found.caveats[0]


def test_another_device_says_what_could_not_be_measured_and_what_to_do_there():
    found = device_match(device_profiles.load("rpi5"), MACHINE)
    assert not found.is_here
    assert found.caveats[0].startswith(
        "Latency and memory were not measured: this machine (Some CPU, x86_64) is not a Raspberry Pi 5, 8 GB. "
        "Install edgewright[onnxruntime,hwbench] on the device and run: edgewright gate BUNDLE"
    )


def test_a_card_that_is_here_is_not_judged_by_its_host():
    machine = dataclasses.replace(MACHINE, gpus=("Tesla T4, 7.5",))
    assert device_match(device_profiles.load("t4"), machine) == device_match(VNNI, MACHINE)


def test_a_card_needs_the_packages_that_run_engines():
    assert "Install edgewright[tensorrt,tensorrt-rtx,onnxruntime,hwbench]" in standing_of("rtx-5090")
    assert "Install edgewright[pycuda,onnxruntime,hwbench]" in standing_of("jetson-orin-nano")


def standing_of(name):
    return device_match(device_profiles.load(name), MACHINE).caveats[0]
