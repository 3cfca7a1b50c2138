"""The way in which each device's outputs can be proved."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hwbench.emulation import proofs
from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine

DOCUMENT = Path(__file__).parents[3] / "docs/devices.md"
PROFILES = [device_profiles.load(name) for name in device_profiles.names()]


def machine(*isa: str) -> Machine:
    return Machine("x86_64", "Some CPU", isa, 4, 8 << 30, "Linux 6", "3.11")


@pytest.fixture(autouse=True)
def _nothing_is_set_up(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path))


def test_the_document_s_table_is_of_all_profiles():
    """Lines as `proofs.anywhere` gives them; this prints the table that belongs there if they differ."""
    expected = ["| profile | outputs are proved by | how |", "|---|---|---|"]
    expected += [f"| {one.profile} | {one.way} | {one.note} |" for one in map(proofs.anywhere, PROFILES)]
    assert re.findall(r"^\|.*proved by.*(?:\n\|.*)+", DOCUMENT.read_text(), re.MULTILINE) == ["\n".join(expected)]


def test_a_machine_with_vnni_fits_a_profile_without_it_and_does_not_compute_as_it_does():
    avx2 = device_profiles.load("x86-64-v3-avx2")
    base = ("avx2", "fma", "f16c")
    assert proofs.here(avx2, machine(*base)).way == "native"
    assert proofs.here(avx2, machine(*base, "avx_vnni")).way == "emulated"


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    rpi5 = device_profiles.load("rpi5")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = proofs.here(rpi5, machine())
    assert not found.is_ready
    assert "Debian's qemu-user-static" in found.missing
    for arch in ("aarch64", "x86_64"):
        (tmp_path / f"qemu-{arch}-static").touch(0o755)
    assert proofs.here(rpi5, machine()).missing == "run: edgewright targets setup rpi5"
