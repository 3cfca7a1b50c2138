"""Conditions of a measurement in one line: other programs' use of the processors, clock, heat, and energy."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hwbench.formats.sections.rows import show
from hwbench.measurements import interference
from hwbench.measurements.latency import Latency
from hwbench.measurements.stability_warnings import competes
from runtimes.sampling.system_conditions import Conditions


def conditions(latency: Latency, cores: int) -> str:
    """Describe the conditions; empty if nothing was recorded.

    A share of the time is that of all blocks together, followed by that of the worst block.

    Args:
        latency: the measurement, whose blocks hold the conditions.
        cores: number of processors of the machine.
    """
    seen = _seen(latency)
    if not seen:
        return ""
    known = [text for text in (*_shares(latency, seen, competes(latency, cores)), *_clock(seen)) if text]
    silent = [name for name, read in _READINGS.items() if all(read(each) is None for each in seen)]
    return ", ".join(known) + (f"; not shown by this system: {', '.join(silent)}" if silent else "")


def energy(latency: Latency) -> str:
    """Describe the energy per inference and its meters, or why it is missing; empty if nothing was recorded."""
    if not _seen(latency):
        return ""
    try:
        drawn = latency.energy_uj
    except ValueError as reason:
        return f"absent: {reason}"
    figures = (
        f"{show('energy', drawn.value)} mJ an inference ({show('energy', drawn.low)} to {show('energy', drawn.high)})"
    )
    return f"{figures}, counted by {' and '.join(latency.meters)}, idle power included"


_READINGS: dict[str, Callable[[Conditions], int | None]] = {
    "waiting": lambda each: each.waited_ns,
    "steal": lambda each: each.stolen_ns,
    "pressure": lambda each: each.pressure_ns,
    "clock": lambda each: each.frequency_khz,
    "heat": lambda each: each.temperature_mc,
    "throttling": lambda each: each.throttled,
}


def _shares(latency: Latency, seen: list[Conditions], among_themselves: bool) -> Iterable[str]:
    waited = _share("waited for a processor", "threads", [(each.waited_ns, each.wall_ns) for each in seen])
    yield f"{waited}, waits for one another included" if waited and among_themselves else waited
    if among_themselves:
        taken = [
            (interference.other_programs_ns(block), block.conditions.wall_ns)
            for block in latency.blocks
            if block.conditions
        ]
        yield _share("taken by other programs", "processors", taken)
    yield _share("lost to the hypervisor", "processors", [(each.stolen_ns, each.wall_ns) for each in seen])
    yield _share("some task of the system waited", "tasks", [(_pressure(each), each.wall_ns) for each in seen])


def _pressure(each: Conditions) -> int | None:
    return None if each.pressure_ns is None else min(each.pressure_ns, each.wall_ns)  # the two are not read at once


def _share(what: str, whose: str, times_ns: list[tuple[int | None, int]]) -> str:
    """Express times as a share of the time that passed; a share above 100% becomes a number of threads at a time.

    Args:
        what: the event, as in "waited for a processor".
        whose: the things whose times are added up, as in "threads".
        times_ns: for each block, the time of the event and the time that passed.
    """
    known = [(value, wall) for value, wall in times_ns if value is not None and wall > 0]
    if not known:
        return ""
    together = sum(value for value, _ in known) / sum(wall for _, wall in known)
    worst = max(value / wall for value, wall in known)
    several = worst > 1
    mean, most = (f"{share:.2g}" if several else f"{share:.1%}" for share in (together, worst))
    behind = f" (at most {most})" if most != mean else ""
    return f"{mean} {whose} at a time{behind} {what}" if several else f"{what} {mean}{behind}"


def _clock(seen: list[Conditions]) -> Iterable[str]:
    clocks = [each.frequency_khz / 1e6 for each in seen if each.frequency_khz is not None]
    if clocks:
        yield _range(f"{min(clocks):.2f}", f"{max(clocks):.2f}", "GHz")
    heat = [each.temperature_mc / 1e3 for each in seen if each.temperature_mc is not None]
    if heat:
        yield _range(f"{min(heat):.0f}", f"{max(heat):.0f}", "\N{DEGREE SIGN}C")
    throttled = [each.throttled for each in seen if each.throttled is not None]
    if throttled:
        yield f"throttled {sum(throttled):,} times" if sum(throttled) else "never throttled"


def _range(low: str, high: str, unit: str) -> str:
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"


def _seen(latency: Latency) -> list[Conditions]:
    return [block.conditions for block in latency.blocks if block.conditions is not None]
