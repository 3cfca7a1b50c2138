"""`edgewright profiles`."""

from __future__ import annotations

import dataclasses
import json

import formats_data
import pytest
from forecast_parts import KERNELS

from hwbench.forecasts import learnt_devices
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.results.profile_results import CandidateResult, ProfileResult, of, to_json
from runtimes.bundles.work import Work
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


@pytest.fixture
def nothing_learnt(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_profiles_learns_from_a_report_of_a_device_and_forgets(cli, nothing_learnt, tmp_path):
    report = formats_data.make_report("fp32", formats_data.make_latency(10, 0), 0, 0, 1)
    work = Work({"fp32": 1, "int8": 1}, {}, 0, (), KERNELS)
    report = dataclasses.replace(report, artifact=dataclasses.replace(report.artifact, work=work))
    entry = CandidateResult("fp32", "fp32", "onnxruntime", "measured", "", report)
    (tmp_path / "report.json").write_text(to_json(of([ProfileResult("net", "rpi5", (), (entry,))])))
    ran = cli("profiles", "learn", tmp_path / "report.json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "Learnt 1 latency; remembered beside those that ship: 1.\n"
    assert len(learnt_devices.learnt_observations()) == 1
    assert cli("profiles", "learn", "--forget").code == 0
    assert learnt_devices.learnt_observations() == ()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Give the report.json of a device"),
        (("none.json",), "'none.json' cannot be read"),
        (("empty.json",), "Nothing can be learnt: the reports hold no measurement"),
        (("own.json",), "'my-board' is no profile that ships"),
        (("own.json", "--profile", "rpi6"), "Unknown profile 'rpi6'"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_learnt_is_said(cli, nothing_learnt, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    for name, profile in (("empty.json", "rpi5"), ("own.json", "my-board")):
        (tmp_path / name).write_text(to_json(of([ProfileResult("net", profile, (), ())])))
    ran = cli("profiles", "learn", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err


def test_a_profile_shows_the_peaks_that_forecasts_take(cli):
    assert "fp32 153.6, fp16 307.2, int8 614.4 GOP/s, for forecasts" in cli("profiles", "rpi5").out


def test_how_to_measure_peaks_without_peaks_is_refused(cli):
    ran = cli("profiles", "--detect", "--fresh")
    assert (ran.code, ran.out) == (2, "")
    assert "give --peaks" in ran.err


@pytest.mark.parametrize("option", ["--detect", "--peaks"])
def test_another_device_than_this_machine_is_not_looked_at(cli, option):
    ran = cli("profiles", "rpi5", option)
    assert (ran.code, ran.out) == (2, "")
    assert "leave out 'rpi5'" in ran.err
