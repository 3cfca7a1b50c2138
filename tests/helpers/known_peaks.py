"""Peaks that this machine seems to have, since measuring them takes 7 s of CPU."""

from __future__ import annotations

import time

from hwbench.machine.identity import this_machine
from hwbench.machine.machine_facts import keep
from hwbench.measurements import peaks
from hwbench.measurements.memory_bandwidth import Bandwidth
from hwbench.measurements.peaks import Peaks
from toolchain.pipeline import machine_peaks

_PER_S = 1e13  # more than any processor does, so that no model is faster than its roofline


def remember() -> None:
    """Remember peaks for one thread and for all cores, in the cache of this moment."""
    machine, versions = this_machine(), machine_peaks._versions()
    rates = dict.fromkeys(("fp32", "fp16", "bf16", "int8"), _PER_S)
    memory = (Bandwidth(1 << 20, _PER_S), Bandwidth(1 << 28, _PER_S))
    for threads in {1, 2, machine.cores}:
        found = Peaks(threads, rates, memory, versions, measured_at_s=time.time())
        keep(found, machine, peaks._KIND, peaks._depends_on(machine, threads, versions))
