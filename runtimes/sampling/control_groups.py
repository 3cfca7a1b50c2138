"""Control groups: the share of the machine that Linux lets this process have, as in a container or a service.

A group's limits hold for all groups inside it, so the smallest on the way to the root counts.
Sources: Documentation/admin-guide/cgroup-v2.rst; for version 1, Documentation/scheduler/sched-bwc.rst and
Documentation/admin-guide/cgroup-v1/memory.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runtimes.files import read_or_empty

_SYSTEM = Path("/")


def cpu_quota(system: Path = _SYSTEM) -> float | None:
    """Return the processors' worth of time that this process and its group may use; None without a quota.

    Args:
        system: the folder that holds `proc` and `sys`.
    """
    quotas = [_per_period(read_or_empty(group / "cpu.max").split()) for group in _groups(system, "")]
    for group in _groups(system, "cpu"):
        files = (group / "cpu.cfs_quota_us", group / "cpu.cfs_period_us")
        quotas.append(_per_period([read_or_empty(file).strip() for file in files]))
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit(system: Path = _SYSTEM) -> int | None:
    """Return the bytes of memory that this process and its group may use; None without a limit.

    Args:
        system: as for `cpu_quota`.
    """
    texts = [read_or_empty(group / "memory.max").strip() for group in _groups(system, "")]
    texts += [read_or_empty(group / "memory.limit_in_bytes").strip() for group in _groups(system, "memory")]
    return min((int(text) for text in texts if text.isdecimal()), default=None)


def _groups(system: Path, controller: str) -> Iterator[Path]:
    """Yield this process's group and those around it; version 2 has one hierarchy, of all controllers ("")."""
    for line in read_or_empty(system / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if controller in controllers.split(","):
            root = system / "sys/fs/cgroup" / controller
            group = root / name.strip("/")
            yield group
            yield from (parent for parent in group.parents if parent.is_relative_to(root))


def _per_period(words: list[str]) -> float | None:
    if len(words) != 2 or not all(word.isdecimal() for word in words) or not int(words[1]):
        return None  # "max", or -1 in version 1
    return int(words[0]) / int(words[1])
