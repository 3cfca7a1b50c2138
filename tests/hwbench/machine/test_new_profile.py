"""Profiles of machines that introduce themselves."""

from __future__ import annotations

import dataclasses

import pytest

from hwbench.machine import device_profiles
from hwbench.machine.new_profile import profile_of, to_toml
from runtimes.errors import UsageError


@pytest.mark.parametrize("name", device_profiles.names())
def test_every_profile_is_what_its_own_text_says(name):
    profile = device_profiles.load(name)
    assert device_profiles.parse(to_toml(profile), "text", name) == profile


def test_text_of_any_kind_stays_what_it_is():
    profile = dataclasses.replace(device_profiles.load("rpi5"), title='a "board"\\ with 5 °C', sources={"a.b c": "d"})
    assert device_profiles.parse(to_toml(profile), "text", "rpi5") == profile


def introduced(machine, **changes):
    machine = dataclasses.replace(machine, **changes)
    return profile_of(machine, "mine", ("onnxruntime",), 8e9, "2026-12-01")


def test_a_board_of_no_known_kind_computes_as_the_closest_one(machine):
    cortex = {"arch": "aarch64", "isa": ("asimd", "asimddp", "asimdhp", "fphp", "sve"), "board": "Orange Pi 7"}
    found = introduced(machine, **cortex)
    assert (found.board, found.title, found.threads) == ("Orange Pi 7", "Orange Pi 7", 4)
    assert found.precisions == {"onnxruntime": ("fp32", "fp16", "int8")}
    assert found.emulation is None
    assert device_profiles.fits(found, dataclasses.replace(machine, **cortex))
    assert introduced(machine, arch="aarch64", isa=("asimd",)).precisions == {"onnxruntime": ("fp32", "int8")}


def test_a_machine_without_known_instructions_or_runtimes_has_no_profile(machine):
    with pytest.raises(UsageError, match="No known profile has the instructions"):
        introduced(machine, arch="riscv64", isa=())
    with pytest.raises(UsageError, match="can have none of the runtimes"):
        profile_of(dataclasses.replace(machine, isa=("avx2", "f16c", "fma")), "mine", ("tensorrt",), 8e9, "today")
