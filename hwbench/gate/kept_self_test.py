"""Last self-test of this machine, one small file for each machine in the user's folder of state."""

from __future__ import annotations

import platformdirs

from hwbench.gate.gate_self_test import SelfTest
from hwbench.machine import machine_facts
from hwbench.machine.identity import Machine
from hwbench.progress import say
from runtimes.cache import Cache


def keep(result: SelfTest, machine: Machine) -> None:
    """Keep a result in place of an earlier one; where the user has no home, it is lost."""
    _store().put_value(machine_facts.key_of(machine, "self-test"), result)


def find(machine: Machine) -> SelfTest | None:
    """Find the last result of a machine; None if there is none that this release reads."""
    return _store().get_value(SelfTest, machine_facts.key_of(machine, "self-test"))


def _store() -> Cache:
    folder = platformdirs.user_state_path("edgewright") / "self-tests"
    return Cache(folder if folder.is_absolute() else None, warn=say)  # "~" stays where the user has no home
