"""Facts that the system states about itself, from /proc and /sys of our own, and from this machine's."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from fake_sysfs import chip, zone

from runtimes.meters._kinds import Gauge
from runtimes.sampling.system_conditions import _TICK_NS, SystemMonitor


def write(root: Path, stat: str, waited: int, pressure: int, throttled: int) -> None:
    files = {
        "proc/stat": f"cpu  {stat}\ncpu0 {stat}\n",
        "proc/self/task/1/schedstat": f"10 {waited} 5\n",
        "proc/self/task/2/schedstat": f"10 {waited} 5\n",
        "proc/pressure/cpu": f"some avg10=0.00 avg60=0.00 avg300=0.00 total={pressure}\nfull total=0\n",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": f"{throttled}\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "2400000\n",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "2600000\n",
        "sys/class/thermal/thermal_zone0/temp": "-5000\n",
        "sys/class/thermal/thermal_zone1/temp": "54000\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_what_passed_between_two_moments(tmp_path: Path) -> None:
    folder = zone(tmp_path / "sys", "0", "package-0", 100)
    write(tmp_path, "100 0 0 500 0 0 0 7 0 0", waited=1_000, pressure=50, throttled=3)
    monitor = SystemMonitor(root=tmp_path)
    write(tmp_path, "140 1 2 600 9 3 4 9 0 0", waited=1_300, pressure=75, throttled=4)
    (folder / "energy_uj").write_text("350")
    seen = monitor.conditions()
    assert seen.wall_ns > 0
    assert seen.waited_ns == 600
    assert seen.stolen_ns == 2 * _TICK_NS
    assert seen.busy_ns == (40 + 1 + 2 + 3 + 4) * _TICK_NS
    assert seen.pressure_ns == 25_000
    assert seen.throttled == 1
    assert (seen.frequency_khz, seen.temperature_mc) == (2_500_000, 54_000)
    assert (seen.energy_uj, seen.unmetered) == ({"package-0": 250}, None)


def test_what_a_system_does_not_show_is_none_and_never_zero(tmp_path: Path) -> None:
    seen = SystemMonitor(root=tmp_path).conditions()
    shown = (seen.waited_ns, seen.stolen_ns, seen.busy_ns, seen.pressure_ns, seen.throttled)
    assert set(shown) == {None}
    assert (seen.frequency_khz, seen.temperature_mc, dict(seen.energy_uj)) == (None, None, {})
    assert seen.unmetered


def test_a_counter_that_went_back_tells_nothing(tmp_path: Path) -> None:
    write(tmp_path, "100 0 0 500 0 0 0 7 0 0", waited=1_000, pressure=50, throttled=3)
    monitor = SystemMonitor(root=tmp_path)
    write(tmp_path, "100 0 0 500 0 0 0 7 0 0", waited=900, pressure=50, throttled=0)
    seen = monitor.conditions()
    assert (seen.waited_ns, seen.throttled, seen.pressure_ns) == (None, None, 0)


def test_power_is_read_while_something_else_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    current = chip(tmp_path / "sys", 0, [("VDD_IN", 1_000, 1_000)]) / "curr1_input"

    def draw(ma: int) -> None:
        beside = current.with_name("new")
        beside.write_text(str(ma))
        beside.replace(current)

    is_read, read = threading.Event(), Gauge.drawn_uj
    monkeypatch.setattr(Gauge, "drawn_uj", lambda gauge: (read(gauge), is_read.set())[0])
    monitor = SystemMonitor(root=tmp_path)  # one watt
    draw(9_000)
    with monitor.ticking():
        assert is_read.wait(30)
    draw(1_000)
    seen = monitor.conditions()
    assert seen.energy_uj["VDD_IN"] > 2 * seen.wall_ns / 1_000  # the first and the last reading alone come to one watt


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="this system has no /proc/stat")
def test_this_machine_counts_its_busy_time() -> None:
    monitor = SystemMonitor()
    sum(range(200_000))
    monitor.tick()
    seen = monitor.conditions()
    assert seen.busy_ns is not None
    assert seen.busy_ns >= 0
    assert bool(seen.energy_uj) == (seen.unmetered is None)
