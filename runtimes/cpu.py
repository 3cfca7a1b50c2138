"""The processor of this machine: its architecture and instruction-set flags."""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from pathlib import Path

_ARCH = {"AMD64": "x86_64", "arm64": "aarch64"}


def arch() -> str:
    """Return the architecture by Linux's name: "x86_64", "aarch64"."""
    machine = platform.machine()
    return _ARCH.get(machine, machine)


def count() -> int:
    """Count the processors that this process may use, by its affinity."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_at_once(cores: int, quota: float | None) -> int:
    """Count the threads that can run at once on some processors with a control group's quota; at least 1."""
    return cores if quota is None else max(1, min(cores, int(quota)))


@lru_cache(maxsize=1)
def isa_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Read the flags of the first processor in /proc/cpuinfo; empty on a system that has no such file."""
    try:
        text = cpuinfo.read_text()
    except OSError:
        return frozenset()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):  # x86, ARM
            return frozenset(value.split())
    return frozenset()
