"""`targets`, `matrix` and `verify --target emulated`: what they print, and what each mistake is answered with."""

from __future__ import annotations

import dataclasses
import json

import emulated_haswell
import numpy as np
import pytest

from hwbench.emulation import proofs
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from runtimes import cpu
from toolchain.packaging.pack import pack


@pytest.fixture
def nothing_set_up(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "empty"))


def test_targets_lists_every_profile_once(cli, nothing_set_up):
    ran = cli("targets")
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines() if line[:1].isalpha()][1:] == list(device_profiles.names())
    listed = {row["profile"]: row for row in json.loads(cli("targets", "--format", "json").out)}
    assert listed["jetson-thor"]["way"] == "plan"
    assert listed["rpi5"]["way"] == "emulated" or cpu.arch() == "aarch64"


def test_verify_and_matrix_on_an_emulated_device(cli, tmp_path):
    device = emulated_haswell.device()
    bundle = emulated_haswell.saturating_bundle(tmp_path / "product", device.profile)
    ran = cli("verify", bundle, "--target", "emulated")
    assert ran.code == 1, ran.err
    assert "MISMATCH: y differs by 4.94e-01" in ran.out
    assert ran.out.endswith("Computed by an emulated Haswell.\n")
    assert "on this machine" not in ran.out
    ran = cli("matrix", bundle, "--profile", device.profile.name, "--format", "json")
    assert ran.code == 0, ran.err
    exact, row = json.loads(ran.out)
    assert (exact["way"], exact["error"]) == ("exact arithmetic", 0.0)
    assert row["way"] == proofs.here(device.profile, this_machine()).way  # a machine without VNNI has its kernels
    assert row.get("error") == pytest.approx(1 - 32767 / 64770, rel=1e-3), row
    ran = cli("targets", "setup", device.profile.name)
    assert ran.out.startswith("The emulated x86-64-v3-avx2 is ready"), ran.err


def test_matrix_shows_every_metric(cli, contents, nothing_set_up, tmp_path, images):
    pack(contents_for_rpi5(contents), tmp_path / "tiny.edge")
    np.savez(tmp_path / "e.npz", image=images, labels=np.arange(4))
    asked = ("--evaluation", tmp_path / "e.npz", "--metric", "top1,top5")
    ran = cli("matrix", tmp_path / "tiny.edge", *asked, "--profile", "x86-64-amx")
    assert ran.code == 0, ran.err
    heads = ran.out.splitlines()[0].split()
    assert heads == ["profile", "computed", "top1", "top5", "samples", "error", "by"]
    assert "1.0000" in ran.out  # five classes


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("targets", "setup", "rpi6"), "Unknown profile 'rpi6'; choose from a10"),
        (("targets", "setup", "jetson-nano"), "jetson-nano cannot be emulated"),
        (("targets", "setup", "x86-64-amx"), "x86-64-amx cannot be emulated"),
        (("matrix", "BUNDLE", "--profile", "t4"), "t4 has a GPU"),
        (("matrix", "BUNDLE", "--metric", "top1"), "give --evaluation FILE.npz"),
        (("matrix", "nothing.edge"), "There is no file 'nothing.edge'"),
        (("verify", "BUNDLE", "--target", "emulated"), "run: edgewright targets setup rpi5"),
        (("verify", "BUNDLE", "--target", "elsewhere"), "'elsewhere' is none of local, emulated, ssh://"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_are_answered_with_one_sentence(cli, contents, nothing_set_up, tmp_path, monkeypatch, command, words):
    pack(contents_for_rpi5(contents), tmp_path / "tiny.edge")
    for arch in ("aarch64", "x86_64"):
        (tmp_path / f"qemu-{arch}-static").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    ran = cli(*(tmp_path / "tiny.edge" if word == "BUNDLE" else word for word in command))
    assert ran.code == 2
    assert words in ran.err
    assert "Traceback" not in ran.err


def test_a_missing_emulator_is_named_with_its_package(cli, contents, nothing_set_up, tmp_path, monkeypatch):
    pack(contents_for_rpi5(contents), tmp_path / "tiny.edge")
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = cli("verify", tmp_path / "tiny.edge", "--target", "emulated")
    assert ran.code == 2
    assert "there is no qemu-aarch64-static; install Debian's qemu-user-static." in ran.err


def contents_for_rpi5(contents):
    return dataclasses.replace(contents, profile=device_profiles.load("rpi5"), report=None)
