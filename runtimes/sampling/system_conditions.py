"""Conditions of the system while a model runs: other processes, clocks, temperature, and energy.

Linux counts most of them. A figure that the system does not show is None, never zero.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runtimes.files import read_or_empty
from runtimes.sampling.energy import Energy

_EVERY_S = 0.05  # shorter than the interval at which meters are read
_TICK_NS = 1_000_000_000 // (os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100)


@dataclass(frozen=True)
class Conditions:
    """The system's figures between two moments.

    Attributes:
        wall_ns: time that passed.
        waited_ns: time that this process's threads were ready and had no processor (/proc/self/task/*/schedstat).
        stolen_ns: processor time that a hypervisor gave to other machines, over all processors.
        busy_ns: processor time of all processes, over the processors that this process may use.
        pressure_ns: time in which some task of the system waited for a processor (pressure stall information).
        energy_uj: microjoules by the meter's name ("package-0", "gpu", "VDD_IN"); empty if there is no meter.
        unmetered: the reason why there is no meter.
        throttled: number of times that a processor slowed down because of its heat.
        frequency_khz: mean clock of the processors at the end.
        temperature_mc: temperature of the hottest sensor at the end, in thousandths of a degree Celsius.
    """

    wall_ns: int
    waited_ns: int | None = None
    stolen_ns: int | None = None
    busy_ns: int | None = None
    pressure_ns: int | None = None
    energy_uj: Mapping[str, int] = field(default_factory=dict)
    unmetered: str | None = None
    throttled: int | None = None
    frequency_khz: int | None = None
    temperature_mc: int | None = None


class SystemMonitor:
    """A monitor of the system from its creation to `conditions()`.

    Args:
        on_gpu: whether the model runs on a GPU, whose energy then counts.
        root: the folder of /proc and /sys.
    """

    def __init__(self, *, on_gpu: bool = False, root: Path = Path("/")) -> None:
        self._proc, self._sys = root / "proc", root / "sys"
        self._energy = Energy(on_gpu=on_gpu, sys=self._sys)
        self._before = self._counters()

    def tick(self) -> None:
        """Read meters that must be read meanwhile; call it at least every second."""
        self._energy.tick()

    @contextlib.contextmanager
    def ticking(self) -> Iterator[None]:
        """Tick from another thread, while a loop runs that cannot call `tick`."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(_EVERY_S):
                self.tick()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def conditions(self) -> Conditions:
        """Return the figures since the start."""
        now = self._counters()
        passed = {name: _difference(value, self._before[name]) for name, value in now.items()}
        return Conditions(
            wall_ns=passed.pop("wall_ns") or 0,
            **passed,
            energy_uj=self._energy.drawn_uj(),
            unmetered=self._energy.missing,
            frequency_khz=_mean(_numbers(self._sys.glob("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"))),
            temperature_mc=max(_numbers(self._sys.glob("class/thermal/thermal_zone*/temp")), default=None),
        )

    def _counters(self) -> dict[str, int | None]:
        lines = [line.split() for line in read_or_empty(self._proc / "stat").splitlines() if line.startswith("cpu")]
        ticks = [int(word) for word in lines[0][1:]] if lines else []  # user nice system idle iowait irq softirq steal
        return {
            "wall_ns": time.perf_counter_ns(),
            "waited_ns": _waited_ns((self._proc / "self/task").glob("*/schedstat")),
            "stolen_ns": ticks[7] * _TICK_NS if len(ticks) > 7 else None,
            "busy_ns": _busy_ns({words[0]: list(map(int, words[1:])) for words in lines}),
            "pressure_ns": _pressure_ns(self._proc / "pressure/cpu"),
            "throttled": _throttled(self._sys / "devices/system/cpu"),
        }


def _busy_ns(ticks: Mapping[str, list[int]]) -> int | None:
    """Add up the busy time of the processors that this process may use; others may belong to another container."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    ours = [words for number in allowed if len(words := ticks.get(f"cpu{number}", ())) > 6]
    # In proc(5)'s order: user, nice, system; then idle and iowait, which are not busy; then irq and softirq.
    return sum(sum(words[:3]) + sum(words[5:7]) for words in ours) * _TICK_NS if ours else None


def _waited_ns(tasks: Iterable[Path]) -> int | None:
    """Add up the time that tasks waited on a run queue: the second number (Documentation/scheduler/sched-stats.rst)."""
    lines = [read_or_empty(task).split() for task in tasks]
    return sum(int(words[1]) for words in lines if len(words) == 3) if any(lines) else None


def _pressure_ns(file: Path) -> int | None:
    """Read the total of the line `some`, which is in microseconds (Documentation/accounting/psi.rst)."""
    first = read_or_empty(file).partition("\n")[0]
    total = first.rpartition("total=")[2]
    return int(total) * 1000 if total.isdigit() else None


def _throttled(cpus: Path) -> int | None:
    """Add up the counts of all processors. Those of one package share a clock, so each may count the same event."""
    counts = _numbers(cpus.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"))
    return sum(counts) if counts else None


def _difference(now: int | None, before: int | None) -> int | None:
    # A count falls if a processor was taken offline.
    return None if now is None or before is None or now < before else now - before


def _mean(numbers: list[int]) -> int | None:
    return sum(numbers) // len(numbers) if numbers else None


def _numbers(files: Iterable[Path]) -> list[int]:
    texts = (read_or_empty(file).strip() for file in files)
    return [int(text) for text in texts if text.lstrip("-").isdigit()]
