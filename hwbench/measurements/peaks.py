"""Peaks of this machine: the most products per second in each precision, and the most bytes per second.

They are measured once for each number of threads and remembered, as the probe's time is
(`hwbench.machine.machine_facts`). A peak is a maximum, so the best of several tries and measurements counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hwbench.machine.identity import Machine
from hwbench.machine.machine_facts import find, is_fresh, keep
from hwbench.measurements import memory_bandwidth
from hwbench.measurements.memory_bandwidth import Bandwidth
from hwbench.progress import Tick
from hwbench.targets import Target
from runtimes.errors import EdgewrightError
from runtimes.sampling.closed_loop import SamplingPlan

_KIND = "peaks"
_METHOD = 2  # version of the measurement; figures of other versions are not used
_PLAN = SamplingPlan(min_runs=5, duration_s=0.12, warmup_limit_s=0.12, time_limit_s=3.0)


@dataclass(frozen=True)
class Peaks:
    """A machine's peaks with a number of threads.

    Attributes:
        operations_per_s: operations of products by precision; a multiply-accumulate is two.
        memory: bandwidths by the size of the working set.
        versions: versions of the packages that computed the products.
        missing: the reason why a precision has no rate, by its name.
            A precision that is in neither was not measured yet.
        measured_at_s: time of the oldest of its figures, in seconds since 1970.
    """

    threads: int
    operations_per_s: Mapping[str, float]
    memory: tuple[Bandwidth, ...]
    versions: Mapping[str, str]
    missing: Mapping[str, str] = field(default_factory=dict)
    measured_at_s: float = 0.0

    def tells_of(self, precision: str) -> bool:
        """Tell whether a precision was measured, or has a reason why it could not be."""
        return precision in self.operations_per_s or precision in self.missing


@dataclass(frozen=True)
class PeakWorkload:
    """A bundle that computes little but products of one precision.

    Attributes:
        inputs: an .npz of samples for it.
        operations: number of operations of one inference.
    """

    name: str
    precision: str
    bundle: Path
    inputs: Path
    operations: int


@dataclass(frozen=True)
class UnbuiltWorkload:
    """A workload whose bundle could not be built, and the reason."""

    name: str
    precision: str
    reason: str


def recall(machine: Machine, threads: int, versions: Mapping[str, str]) -> Peaks | None:
    """Recall the peaks of a machine; None if none are known, they are too old, or they cannot be read."""
    known = find(Peaks, machine, _KIND, _depends_on(machine, threads, versions))
    return known if known is not None and is_fresh(known.measured_at_s) else None


def measure(
    machine: Machine,
    threads: int,
    versions: Mapping[str, str],
    workloads: Iterable[PeakWorkload | UnbuiltWorkload],
    missing: Mapping[str, str],
    target: Target,
    tick: Tick,
    memory: tuple[Bandwidth, ...] | None = None,
) -> Peaks:
    """Measure a machine, and remember the highest figures: those measured now, or known for as many threads or for one.

    Args:
        machine: the machine that runs this process.
        threads: number of threads inside one inference, and of threads that read memory.
        versions: versions of the packages that compute the products; other versions have peaks of their own.
        workloads: products to compute; the fastest of each precision counts.
        missing: reasons why precisions have no workload.
        target: runs bundles, in processes of their own.
        tick: called after each step.
        memory: the bandwidths, if they are known; None to measure them.

    Raises:
        OSError: a bundle's samples cannot be read.
    """
    own, of_one = recall(machine, threads, versions), recall(machine, 1, versions)
    earlier = [each for each in (own, of_one) if each is not None]  # any number of threads reaches the peaks of one
    rates = dict(own.operations_per_s) if own is not None else {}
    reasons = {**(own.missing if own is not None else {}), **missing}
    for workload in workloads:
        rate, reason = _rate(workload, target)
        if reason is None:
            rates[workload.precision] = max(rates.get(workload.precision, 0.0), rate)
        else:
            reasons[workload.precision] = reason
        tick(f"measured {workload.name}")
    for precision, rate in of_one.operations_per_s.items() if of_one is not None else ():
        if precision in rates or precision in reasons:
            rates[precision] = max(rates.get(precision, 0.0), rate)
    memory = memory_bandwidth.measure(machine, threads) if memory is None else memory
    sizes = {each.bytes for each in memory}
    before = [read for each in earlier for read in each.memory if read.bytes in sizes]
    tick("measured memory")
    measured = Peaks(
        threads,
        dict(sorted(rates.items())),
        memory_bandwidth.best(memory, before),
        dict(versions),
        {precision: reason for precision, reason in reasons.items() if precision not in rates},
        min((each.measured_at_s for each in earlier), default=time.time()),
    )
    keep(measured, machine, _KIND, _depends_on(machine, threads, versions))
    return measured


def rate_text(precision: str, rate: float) -> str:
    """Format a rate with its unit: operations on integers are not floating-point operations."""
    return f"{rate / 1e9:,.0f} {'GOP/s' if precision.startswith('int') else 'GFLOP/s'}"


def _rate(workload: PeakWorkload | UnbuiltWorkload, target: Target) -> tuple[float, str | None]:
    """Measure operations per second, or return the reason why there are none."""
    if isinstance(workload, UnbuiltWorkload):
        return 0.0, workload.reason
    try:
        fastest_ns = min(target.sample(workload.bundle, workload.inputs, _PLAN).samples_ns)
    except EdgewrightError as error:
        return 0.0, str(error)
    return workload.operations * 1e9 / fastest_ns, None


def _depends_on(machine: Machine, threads: int, versions: Mapping[str, str]) -> object:
    # Unlike the probe's time, peaks depend on the caches, and on the size of the memory.
    memory = [round(machine.memory_bytes / 2**30), sorted(machine.caches_bytes.items()), machine.last_caches]
    return [_METHOD, threads, sorted(versions.items()), *memory]
