"""`edgewright profiles`."""

from __future__ import annotations

import json

import pytest

from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from runtimes.errors import UsageError


def test_profiles_lists_every_device(cli):
    ran = cli("profiles")
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines() if line[:1].strip()][1:] == list(device_profiles.names())
    assert [one["name"] for one in json.loads(cli("profiles", "--format", "json").out)] == list(device_profiles.names())


@pytest.mark.parametrize("name", device_profiles.names())
def test_profiles_shows_any_device_without_figures_it_lacks(cli, name):
    profile = device_profiles.load(name)
    ran = cli("profiles", name)
    assert ran.code == 0
    assert profile.title in ran.out
    assert "None" not in ran.out
    assert ("cores" in ran.out.partition("sources")[0]) == (profile.cpu.cores is not None)
    assert all(source in ran.out for source in profile.sources.values())
    assert json.loads(cli("profiles", name, "--format", "json").out)["name"] == name


def test_profiles_shows_a_file_of_the_users_own(cli, device_file):
    assert "whatever runs the tests" in cli("profiles", device_file).out


def test_profiles_detects_this_machine(cli):
    try:
        here = device_profiles.detect(this_machine())
    except UsageError as none:
        pytest.skip(str(none))
    ran = cli("profiles", "--detect")
    assert ran.code == 0
    assert f"It fits the profile {here.name} ({here.title})." in ran.out
    for word in ("processor", "instructions", "caches", "memory", "governor", "virtualised"):
        assert f"\n  {word}" in ran.out
    assert json.loads(cli("profiles", "--detect", "--format", "json").out)["profile"] == here.name


def test_profiles_shows_the_peaks_of_this_machine(cli):
    try:
        device_profiles.detect(this_machine())
    except UsageError as none:
        pytest.skip(str(none))
    ran = cli("profiles", "--peaks", "--threads", "1")
    assert (ran.code, ran.err) == (0, "")
    shown = ran.out.partition("\nat most, with 1 thread\n")[2]
    assert "  fp32 " in shown
    assert " GFLOP/s\n" in shown
    assert " GB/s\n" in shown
    (found,) = json.loads(cli("profiles", "--peaks", "--threads", "1", "--format", "json").out)["peaks"]
    assert found["threads"] == 1
    assert set(found["operations_per_s"]) | set(found.get("missing", {})) == {"fp32", "fp16", "bf16", "int8"}


def test_how_to_measure_peaks_without_peaks_is_refused(cli):
    ran = cli("profiles", "--detect", "--fresh")
    assert (ran.code, ran.out) == (2, "")
    assert "give --peaks, too" in ran.err


@pytest.mark.parametrize("option", ["--detect", "--peaks"])
def test_another_device_than_this_machine_is_not_looked_at(cli, option):
    ran = cli("profiles", "rpi5", option)
    assert (ran.code, ran.out) == (2, "")
    assert "about the machine we are on; leave out 'rpi5'" in ran.err
