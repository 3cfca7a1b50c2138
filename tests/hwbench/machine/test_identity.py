"""Telling two machines apart."""

from __future__ import annotations

import dataclasses
import os
import platform

import pytest

from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine, this_machine
from runtimes import cpu
from runtimes.codec import decode, encode
from runtimes.sampling import system_facts


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
    assert decode(Machine, encode(found), "machine") == found


def test_flags_that_no_kernel_depends_on_make_no_other_machine():
    assert not {"fpu", "sse2", "hypervisor", "syscall"} & set(this_machine().isa)
    assert device_profiles.KERNEL_FLAGS <= system_facts._TELLING_FLAGS


@pytest.mark.parametrize(("quota", "processors"), [(None, 4), (0.5, 1), (2.5, 2), (8.0, 4)])
def test_a_quota_bounds_what_runs_at_once(quota, processors):
    machine = dataclasses.replace(this_machine(), cores=4, cpu_quota=quota)
    assert machine.processors == processors
