"""Quotas and limits of control groups of both versions, from files as Linux writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtimes.sampling.control_groups import cpu_quota, memory_limit

V2 = {"proc/self/cgroup": "0::/system.slice/app.service\n"}
V1 = {"proc/self/cgroup": "5:memory:/docker/1f\n2:cpu,cpuacct:/docker/1f\n1:name=systemd:/\n"}


@pytest.fixture
def system(tmp_path: Path):
    def make(files: dict[str, str]) -> Path:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return make


def test_without_groups_or_limits_there_are_none(system) -> None:
    assert cpu_quota(system({})) is None
    folder = system({**V2, "sys/fs/cgroup/system.slice/app.service/cpu.max": "max 100000\n"})
    assert cpu_quota(folder) is None
    assert memory_limit(folder) is None


def test_the_smallest_limit_on_the_way_to_the_root_counts(system) -> None:
    folder = system(
        {
            **V2,
            "sys/fs/cgroup/cpu.max": "max 100000",
            "sys/fs/cgroup/system.slice/cpu.max": "50000 100000\n",
            "sys/fs/cgroup/system.slice/app.service/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/system.slice/app.service/memory.max": "1073741824\n",
            "sys/fs/cgroup/system.slice/memory.max": "max\n",
            "sys/fs/cgroup/other/cpu.max": "1000 100000\n",
        }
    )
    assert cpu_quota(folder) == 0.5
    assert memory_limit(folder) == 1 << 30


def test_version_1_has_a_hierarchy_per_controller(system) -> None:
    folder = system(
        {
            **V1,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu/docker/1f/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu/docker/1f/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/docker/1f/memory.limit_in_bytes": "536870912\n",
        }
    )
    assert (cpu_quota(folder), memory_limit(folder)) == (2.5, 512 << 20)


def test_in_a_container_the_group_s_own_name_may_not_be_there(system) -> None:
    """Without a namespace of groups, /proc shows the host's name, and the container's folder is the root."""
    folder = system({**V2, "sys/fs/cgroup/cpu.max": "50000 100000\n"})
    assert cpu_quota(folder) == 0.5
