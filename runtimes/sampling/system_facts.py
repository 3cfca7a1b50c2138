"""Facts about the system that runs this process, on which latency depends: processor, caches, memory, board, GPUs."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runtimes import cpu
from runtimes.files import read_or_empty
from runtimes.sampling.control_groups import cpu_quota, memory_limit

# Flags that decide which kernels a runtime picks. Others come with kernel updates, which make no new machine.
_TELLING_FLAGS = frozenset(
    [
        "avx",
        "avx2",
        "fma",
        "f16c",
        "avx512f",
        "avx512bw",
        "avx512vl",
        "avx512dq",
        "avx512_vnni",
        "avx_vnni",
        "avx512_bf16",
        "avx512_fp16",
        "amx_tile",
        "amx_int8",
        "amx_bf16",
        "amx_fp16",
        "asimd",
        "asimdhp",
        "fphp",
        "asimddp",
        "i8mm",
        "bf16",
        "sve",
        "sve2",
    ]
)

_CPU_KEYS = ("model name", "CPU implementer", "CPU part")


@dataclass(frozen=True)
class SystemFacts:
    """The facts about one system.

    Attributes:
        isa: instruction-set flags that decide how fast a network runs.
        caches_bytes: size of each level, as one processor sees it ("L1d", "L2", "L3").
        cores: number of processors that this process may use, by its affinity.
        memory_bytes: memory, or what the control group allows of it.
        cpu_quota: processors' worth of time that the control group allows; None without a quota.
        last_caches: number of caches of the last level, each shared by some of the processors.
        governor: Linux's frequency governor, if the system shows one.
        hypervisor: vendor of the virtual machine; None on bare metal or if it is unknown.
        board: the device tree's model ("Raspberry Pi 5 Model B Rev 1.0"), on boards that have one.
        gpus: name and compute capability of each NVIDIA GPU.
    """

    arch: str
    cpu: str
    isa: tuple[str, ...]
    cores: int
    memory_bytes: int
    system: str
    python: str
    caches_bytes: Mapping[str, int] = field(default_factory=dict)
    governor: str | None = None
    hypervisor: str | None = None
    board: str | None = None
    gpus: tuple[str, ...] = ()
    last_caches: int = 1
    cpu_quota: float | None = None


def read_facts() -> SystemFacts:
    """Read the facts about the system that runs this process."""
    cpuinfo, total = _read(Path("/proc/cpuinfo")), _memory_bytes()
    return SystemFacts(
        arch=cpu.arch(),
        cpu=_cpu_name(cpuinfo),
        isa=tuple(sorted(cpu.isa_flags() & _TELLING_FLAGS)),
        cores=cpu.count(),
        memory_bytes=min(total, memory_limit() or total),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        caches_bytes=_caches(Path("/sys/devices/system/cpu/cpu0/cache")),
        governor=_read(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")) or None,
        hypervisor=_hypervisor(cpuinfo),
        board=_read(Path("/proc/device-tree/model")).rstrip("\0") or None,
        gpus=_gpus(),
        last_caches=_last_caches(Path("/sys/devices/system/cpu")),
        cpu_quota=cpu_quota(),
    )


def _memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _cpu_name(cpuinfo: str) -> str:
    matches = {key: re.search(rf"^{key}\s*:\s*(.+)$", cpuinfo, re.MULTILINE) for key in _CPU_KEYS}
    name, implementer, part = (match and match[1].strip() for match in matches.values())
    if name:
        return name
    if implementer and part:  # Arm's cores have numbers instead of names
        return f"implementer {implementer}, part {part}"
    return platform.processor() or platform.machine()


def _caches(folder: Path) -> dict[str, int]:
    sizes = {}
    for index in sorted(folder.glob("index*")):
        kind, level, size = (_read(index / name) for name in ("type", "level", "size"))
        if size.endswith("K") and kind != "Instruction":
            sizes[f"L{level}" + ("d" if kind == "Data" else "")] = int(size[:-1]) * 1024
    return sizes


def _last_caches(cpus: Path) -> int:
    """Count the caches of the last level: processors that share one show the same list, and indices ascend by level."""
    indices = (sorted(cpu.glob("index*")) for cpu in cpus.glob("cpu[0-9]*/cache"))
    return max(1, len({_read(levels[-1] / "shared_cpu_list") for levels in indices if levels}))


def _hypervisor(cpuinfo: str) -> str | None:
    if not re.search(r"^flags\b.*\bhypervisor\b", cpuinfo, re.MULTILINE):
        return None
    return _read(Path("/sys/class/dmi/id/sys_vendor")) or "yes"


def _gpus() -> tuple[str, ...]:
    if shutil.which("nvidia-smi") is None:
        return ()
    query = ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    try:
        output = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (subprocess.SubprocessError, OSError):  # a GPU whose driver does not answer cannot be used
        return ()
    return tuple(line.strip() for line in output.splitlines() if line.strip())


def _read(path: Path) -> str:
    return read_or_empty(path).strip()
