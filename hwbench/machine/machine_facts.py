"""Facts about this machine that are remembered between runs, such as the speed probe's time in an undisturbed run."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TypeVar

from hwbench.machine.identity import Machine
from hwbench.progress import say
from runtimes import cache
from runtimes.cache import Cache

T = TypeVar("T")

MAX_AGE_S = 30 * 86_400.0
"""Age in seconds from which a fact counts as forgotten. Firmware, kernels and clocks change within a month."""


@dataclass(frozen=True)
class Remembered:
    """Facts that earlier runs measured.

    Attributes:
        probe_ns: the speed probe's time in the least disturbed run, in ns.
        probe_at_s: time of that run, in seconds since 1970.
    """

    probe_ns: float | None = None
    probe_at_s: float = 0.0


def recall(machine: Machine) -> Remembered:
    """Recall the facts about a machine; a fact is missing if it cannot be read or is older than `MAX_AGE_S`."""
    remembered = find(Remembered, machine, "machine") or Remembered()
    return remembered if is_fresh(remembered.probe_at_s) else dataclasses.replace(remembered, probe_ns=None)


def is_fresh(at_s: float) -> bool:
    """Tell whether a fact of that time, in seconds since 1970, still counts; one from the future does not.

    Such a time is of a clock that was set back since, so the fact's age is not known.
    """
    return 0 <= time.time() - at_s <= MAX_AGE_S


def note_probe(machine: Machine, probe_ns: float) -> None:
    """Remember a probe's time if it is faster than the known one."""
    known = recall(machine)
    if known.probe_ns is None or probe_ns < known.probe_ns:
        keep(Remembered(probe_ns, time.time()), machine, "machine")


def find(cls: type[T], machine: Machine, kind: str, depends_on: object = None) -> T | None:
    """Find one kind of fact about a machine.

    Args:
        cls: the dataclass that holds the fact.
        machine: the machine.
        kind: the kind's name.
        depends_on: everything else that the fact depends on, as plain data.
    """
    return _cache().get_value(cls, key_of(machine, kind, depends_on))


def keep(fact: object, machine: Machine, kind: str, depends_on: object = None) -> None:
    """Remember a fact for `find`; a fact that cannot be stored is measured again."""
    _cache().put_value(key_of(machine, kind, depends_on), fact)


def _cache() -> Cache:
    return Cache(cache.folder("machine"), warn=say)


def key_of(machine: Machine, kind: str, depends_on: object = None) -> object:
    """Return the key of a fact: the parts that decide how fast a machine is, and what else the fact depends on."""
    # The versions of its system and of Python do not.
    parts = ("arch", "cpu", "isa", "cores", "cpu_quota", "governor", "hypervisor", "board")
    return {"kind": kind, "depends_on": depends_on, "machine": {name: getattr(machine, name) for name in parts}}
