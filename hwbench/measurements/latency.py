"""Latency of one artifact on one machine: raw samples, from which statistics derive."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from hwbench.measurements import interference
from hwbench.stats import intervals
from hwbench.stats.intervals import Estimate
from runtimes.sampling.closed_loop import Block
from runtimes.tensors import Array

Scenario = Literal["single_stream", "multi_stream", "server", "offline"]
"""As MLPerf Inference defines them.

single_stream and multi_stream issue the next query, of one sample or of several, when the last one is done. server's
queries arrive at random, as a Poisson process. offline has one query of all samples.
"""

METER_STOOD_STILL = "an energy meter did not move while a process measured; measure for longer with --duration"

_KEPT_UP = 0.95  # below this ratio a queue grows: arrivals are over a twentieth faster than answers
_TURNS = 2  # queries that may wait by chance alone at the end; in a short run their answers take a large share


@dataclass(frozen=True)
class Load:
    """LoadGen's load.

    Attributes:
        batched: True if samples that came together ran as one inference, False if one after another.
        workers: number of threads that answered.
        target_per_s: the mean rate of arrivals that was asked of server; None in other scenarios.
    """

    batched: bool
    workers: int
    target_per_s: float | None = None


@dataclass(frozen=True)
class Latency:
    """One artifact's latency on one machine.

    Attributes:
        batch: number of samples per latency: those of an inference, or of a query of multi_stream.
        load: LoadGen's load; None for our own closed loop.
        blocks: one per measuring process. Processes differ more than the runs inside one do (Kalibera
            and Jones, 2013, Rigorous Benchmarking in Reasonable Time), so there are several.
    """

    scenario: Scenario
    batch: int
    threads: int
    blocks: tuple[Block, ...]
    load: Load | None = None

    def __post_init__(self) -> None:
        if not self.blocks or not all(block.samples_ns for block in self.blocks):
            raise ValueError("has no block, or a block without samples_ns")

    @cached_property
    def samples_ms(self) -> Array:
        """All samples in ms, block after block."""
        return np.concatenate([np.asarray(block.samples_ns, dtype=np.float64) for block in self.blocks]) / 1e6

    def percentile(self, percent: float) -> Estimate:
        """Estimate a percentile in ms, with its confidence interval.

        The value is the percentile of all samples. The interval is the union of two, since samples inside a block are
        not independent: the exact interval of the order statistics, and that of the median block's percentile. It
        covers the percentile of the median process, not that of a rare process much slower than the others.

        Raises:
            ValueError: there are too few samples (the message says how many it takes), or the scenario is offline.
        """
        if self.scenario == "offline":
            raise ValueError("offline issues all samples at once, so no sample has a latency of its own")
        undisturbed = self.undisturbed
        pooled = intervals.quantile(undisturbed.samples_ms, percent / 100)
        each = _median([_quantile_ms(block, percent / 100) for block in undisturbed.blocks])
        return Estimate(pooled.value, min(pooled.low, each.low), max(pooled.high, each.high))

    def tail_ms(self, percent: float) -> float | None:
        """Bound a percentile in ms by MLPerf's early stopping, which assumes independent samples.

        Returns:
            The bound; None if there are too few samples, or the scenario is offline.
        """
        if self.scenario == "offline":
            return None
        try:
            return intervals.early_stopping(self.undisturbed.samples_ms, percent / 100)
        except ValueError:
            return None

    @property
    def undisturbed(self) -> Latency:
        """The latency of server's undisturbed processes, if there are two or more; otherwise this latency.

        The choice does not depend on the processes' own figures. In other scenarios all processes count.
        """
        if self.scenario != "server":
            return self
        undisturbed = tuple(block for block in self.blocks if interference.load_interference((block,)) is None)
        return replace(self, blocks=undisturbed) if 2 <= len(undisturbed) < len(self.blocks) else self

    @property
    def throughput_per_s(self) -> Estimate:
        """Samples per second. The interval is that of the median block, and so is the value for server and offline."""
        each = _median([_throughput_per_s(block, self.batch) for block in self.blocks])
        if self.scenario in ("server", "offline"):
            return each
        value = self.batch * 1e3 / float(self.samples_ms.mean())
        return Estimate(value, min(value, each.low), max(value, each.high))

    @property
    def asked_per_s(self) -> float:
        """The rate of arrivals that was asked of server, in samples per second; zero for the other scenarios."""
        target = self.load.target_per_s if self.load is not None else None
        return self.batch * (target or 0.0)

    @property
    def is_saturated(self) -> bool:
        """True if server's arrivals outran the answers, so that a longer run would only have a longer queue."""
        if self.scenario != "server":
            return False
        workers = self.load.workers if self.load is not None else 1
        return float(np.median([_kept_up(block, workers) for block in self.undisturbed.blocks])) < _KEPT_UP

    @property
    def load_ms(self) -> Estimate:
        """The time from a path to a session: the median over blocks."""
        return _median([block_figure(block, "load_time") for block in self.blocks])

    @property
    def peak_memory_bytes(self) -> Estimate | None:
        """The most memory that the inference process ever held: the largest of the blocks; None if it is unknown."""
        peaks = [block.peak_memory_bytes for block in self.blocks if block.peak_memory_bytes is not None]
        return Estimate(max(peaks), min(peaks), max(peaks)) if peaks else None

    @property
    def energy_uj(self) -> Estimate:
        """The energy per inference that the meters counted: the median over blocks.

        Raises:
            ValueError: there is no meter, or it did not move; the message says so.
        """
        return _median([block_figure(block, "energy") for block in self.blocks])

    @property
    def meters(self) -> tuple[str, ...]:
        """The names of the meters that counted the energy; none without meters."""
        return tuple(dict.fromkeys(n for block in self.blocks if block.conditions for n in block.conditions.energy_uj))


def block_figure(block: Block, quantity: str) -> float:
    """Compute one block's own figure in ms, bytes, samples per second or microjoules per inference.

    Raises:
        ValueError: the block is too short for the percentile, or the system does not report the quantity.
    """
    if quantity == "throughput":
        return _throughput_per_s(block, block.batch)
    if quantity == "load_time":
        return block.load_ns / 1e6
    if quantity == "peak_memory":
        if block.peak_memory_bytes is None:
            raise ValueError("the memory of the process was not reported")
        return float(block.peak_memory_bytes)
    if quantity == "energy":
        return _energy_uj(block)
    p = float(quantity[1:]) / 100
    if len(block.samples_ns) < block_runs_needed(p):
        raise ValueError(
            f"{quantity} takes {block_runs_needed(p)} samples in each process, and one has {len(block.samples_ns)}"
        )
    return _quantile_ms(block, p)


def meter_stood_still(block: Block) -> bool:
    """Tell whether one of a block's meters counted nothing: counters move in steps, which may be longer than the
    block.
    """
    return block.conditions is not None and 0 in block.conditions.energy_uj.values()


def block_runs_needed(p: float) -> int:
    """Return the smallest number of samples whose largest reaches the median-unbiased estimate of the p-quantile."""
    return math.ceil(round((1 + p) / 3 / (1 - p), 6))


def _throughput_per_s(block: Block, batch: int) -> float:
    """Count samples per second from the first arrival to the last answer; in a closed loop, by the inferences alone."""
    if block.arrivals_ns:
        return batch * len(block.samples_ns) * 1e9 / _end_ns(block)
    return batch * 1e9 / float(np.mean(block.samples_ns))


def _kept_up(block: Block, workers: int) -> float:
    """Compare the time to the last arrival with the time to the last answer.

    The latter is reduced by an answer that did not wait, and by the waiting that chance may add: some turns at the
    workers, and an answer that took twice as long.
    """
    alone_ns = min(block.samples_ns)
    return max(block.arrivals_ns) / max(_end_ns(block) - alone_ns * (2 + _TURNS / workers), 1.0)


def _end_ns(block: Block) -> float:
    return float((np.asarray(block.arrivals_ns) + np.asarray(block.samples_ns)).max())


def _quantile_ms(block: Block, p: float) -> float:
    """Estimate a quantile without median bias (Hyndman and Fan, 1996, Sample Quantiles in Statistical Packages,
    definition 8), so that the block's figure is as often above the true value as below it.
    """
    return float(np.quantile(block.samples_ns, p, method="median_unbiased")) / 1e6


def _energy_uj(block: Block) -> float:
    conditions = block.conditions
    if conditions is None or not conditions.energy_uj:
        raise ValueError((conditions and conditions.unmetered) or "energy was not recorded")
    if meter_stood_still(block):
        raise ValueError(METER_STOOD_STILL)
    return sum(conditions.energy_uj.values()) / (block.runs * block.inferences)


def _median(values: list[float]) -> Estimate:
    """Estimate the median. Six values or more bound it exactly; for fewer, their range is the best interval."""
    if len(values) >= intervals.quantile_runs_needed(0.5):
        bounds = intervals.quantile(np.asarray(values), 0.5)
        return Estimate(float(np.median(values)), bounds.low, bounds.high)
    return Estimate(float(np.median(values)), min(values), max(values))
