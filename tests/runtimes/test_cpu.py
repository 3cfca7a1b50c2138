"""Architecture and flags."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from runtimes import cpu

X86 = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu sse2 avx2\nbugs\t: spectre\n\nflags\t\t: fpu\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU part\t: 0xd0b\n"


@pytest.mark.parametrize(
    ("text", "flags"),
    [(X86, {"fpu", "sse2", "avx2"}), (ARM, {"fp", "asimd", "asimddp"}), ("", set()), ("flags :\n", set())],
)
def test_flags_are_those_of_the_first_processor(tmp_path: Path, text: str, flags: set[str]) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    cpu.isa_flags.cache_clear()
    assert cpu.isa_flags(path) == flags
    cpu.isa_flags.cache_clear()


def test_a_system_without_cpuinfo_shows_none(tmp_path: Path) -> None:
    assert cpu.isa_flags(tmp_path / "none") == frozenset()


@pytest.mark.parametrize(
    ("machine", "arch"), [("x86_64", "x86_64"), ("AMD64", "x86_64"), ("arm64", "aarch64"), ("aarch64", "aarch64")]
)
def test_architectures_in_linux_s_words(monkeypatch: pytest.MonkeyPatch, machine: str, arch: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert cpu.arch() == arch
