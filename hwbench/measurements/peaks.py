"""What this machine can do at most: products per second in each precision, and bytes per second.

Measured once and remembered, like the probe (`hwbench.machine.remembered`), for each number of threads. A peak is
a maximum, so the best of several tries counts, and the best of several measurements.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hwbench.machine.identity import Machine
from hwbench.machine.remembered import KEPT_S, find, keep
from hwbench.measurements import memory_bandwidth
from hwbench.measurements.memory_bandwidth import Bandwidth
from hwbench.progress import Tick
from hwbench.targets import Target
from runtimes.errors import EdgewrightError
from runtimes.sampling.closed_loop import SamplingPlan

_KIND = "peaks"
_METHOD = 2  # one more whenever what is measured changes
_PLAN = SamplingPlan(min_runs=5, duration_s=0.12, warmup_limit_s=0.12, time_limit_s=3.0)


@dataclass(frozen=True)
class Peaks:
    """A machine's workloads with a number of threads.

    Attributes:
        operations_per_s: of products, by precision; two operations per multiply-accumulate.
        memory: bytes per second, by how much is read again and again.
        versions: of what computed the products.
        missing: why a precision has no rate, by its name.
        measured_at_s: when the oldest of its figures were, in seconds since 1970.
    """

    threads: int
    operations_per_s: Mapping[str, float]
    memory: tuple[Bandwidth, ...]
    versions: Mapping[str, str]
    missing: Mapping[str, str] = field(default_factory=dict)
    measured_at_s: float = 0.0


@dataclass(frozen=True)
class PeakWorkload:
    """A bundle that does little but products of one precision.

    Attributes:
        inputs: an .npz of samples for it.
        operations: of one inference.
    """

    name: str
    precision: str
    bundle: Path
    inputs: Path
    operations: int


@dataclass(frozen=True)
class UnbuiltWorkload:
    """A workload whose bundle could not be made, and why."""

    name: str
    precision: str
    reason: str


def recall(machine: Machine, threads: int, versions: Mapping[str, str]) -> Peaks | None:
    """What is known of a machine; None where nothing is, it is a month old, or it cannot be read."""
    known = find(Peaks, machine, _KIND, _depends_on(machine, threads, versions))
    return known if known is not None and time.time() - known.measured_at_s <= KEPT_S else None


def measure(
    machine: Machine,
    threads: int,
    versions: Mapping[str, str],
    workloads: Iterable[PeakWorkload | UnbuiltWorkload],
    missing: Mapping[str, str],
    target: Target,
    tick: Tick,
) -> Peaks:
    """Measure a machine, and remember the higher of each figure and what was known, of one thread, too.

    Args:
        machine: the one we are on.
        threads: inside one inference, and that move memory.
        versions: of what computes the products; other versions have peaks of their own.
        workloads: what to compute; of several in a precision, the fastest counts.
        missing: why a precision is not among them.
        target: where bundles run, in processes of their own.
        tick: called after each step.

    Raises:
        OSError: a bundle's samples cannot be read.
    """
    recalled = (recall(machine, threads, versions), recall(machine, 1, versions))
    earlier = [each for each in recalled if each is not None]  # any number of threads can do what one does
    rates: dict[str, float] = {}
    for precision, rate in (item for each in earlier for item in each.operations_per_s.items()):
        rates[precision] = max(rates.get(precision, 0.0), rate)
    why = dict(missing)
    for workload in workloads:
        rate, reason = _rate(workload, target)
        if reason is None:
            rates[workload.precision] = max(rates.get(workload.precision, 0.0), rate)
        else:
            why[workload.precision] = reason
        tick(f"measured {workload.name}")
    memory = memory_bandwidth.measure(machine, threads)
    sizes = {each.bytes for each in memory}
    before = [read for each in earlier for read in each.memory if read.bytes in sizes]
    tick("measured memory")
    found = Peaks(
        threads,
        dict(sorted(rates.items())),
        memory_bandwidth.best(memory, before),
        dict(versions),
        {precision: reason for precision, reason in why.items() if precision not in rates},
        min((each.measured_at_s for each in earlier), default=time.time()),
    )
    keep(found, machine, _KIND, _depends_on(machine, threads, versions))
    return found


def rate_text(precision: str, rate: float) -> str:
    """A rate as people read it: integers are not floating point."""
    return f"{rate / 1e9:,.0f} {'GOP/s' if precision.startswith('int') else 'GFLOP/s'}"


def _rate(workload: PeakWorkload | UnbuiltWorkload, target: Target) -> tuple[float, str | None]:
    """Operations per second; or why there are none."""
    if isinstance(workload, UnbuiltWorkload):
        return 0.0, workload.reason
    try:
        fastest_ns = min(target.sample(workload.bundle, workload.inputs, _PLAN).samples_ns)
    except EdgewrightError as error:
        return 0.0, str(error)
    return workload.operations * 1e9 / fastest_ns, None


def _depends_on(machine: Machine, threads: int, versions: Mapping[str, str]) -> object:
    # Unlike the probe, they depend on the caches, and on how much memory there is to read.
    memory = [round(machine.memory_bytes / 2**30), sorted(machine.caches_bytes.items()), machine.last_caches]
    return [_METHOD, threads, sorted(versions.items()), *memory]
