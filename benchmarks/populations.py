"""Machines to draw measurements from: recorded by `benchmarks.record_noise`, or made up.

A made-up model's block has its own level (processes differ), the machine a level that every block and the probe feel:
constant, drifting, autocorrelated, or slow in bursts; samples inside a block scatter and have a tail.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hwbench.measurements.interference import MAX_WAITED, BlockInterference
from runtimes.tensors import Array

BLOCK_S = 0.25  # a process of 0.1 s of measuring, from start to end: the recording has 1,854 in 7 minutes
SYNTHETIC = ("steady", "drift", "autocorrelated", "bursts", "two modes", "all of it")
_RUN = 8  # rounds, on average, that the bootstrap keeps together
_SAMPLES = 50


@dataclass(frozen=True)
class Population:
    """Rounds to draw from: per round and side the block's figure, fastest run, probe and share of time waited.

    Attributes:
        samples_ms: [rounds, 2, samples], for the naive gates; and the figures come from them.
    """

    name: str
    samples_ms: Array
    probe_ns: Array
    waited: Array
    figures: Array
    fastest: Array

    @cached_property
    def interference(self) -> dict[str, list[BlockInterference]]:
        """The interference with each side's blocks."""
        return {
            side: [
                BlockInterference(float(probe), "waited for a processor" if waited > MAX_WAITED else None)
                for probe, waited in zip(self.probe_ns[:, column], self.waited[:, column])
            ]
            for column, side in enumerate(("candidate", "baseline"))
        }

    @cached_property
    def lead(self) -> float:
        """By how much the first column's median round exceeds the second's: chance, which the truth must not have."""
        counts = (self.waited <= MAX_WAITED).all(axis=1)
        ratio = self.figures[:, 0] / self.figures[:, 1]
        return float(np.median(ratio[counts] if counts.any() else ratio))

    @property
    def reference_ns(self) -> float:
        """Return what a machine that was here before remembers of its probe."""
        return float(np.quantile(self.probe_ns, 0.1))

    @property
    def undisturbed(self) -> int:
        """Count the rounds that count."""
        return int((self.waited <= MAX_WAITED).all(axis=1).sum())

    def truth(self) -> float:
        """The median figure of blocks at the machine's quiet level, which is what a limit in ms is about."""
        quiet = (self.waited <= MAX_WAITED) & (np.abs(self.probe_ns / self.reference_ns - 1) <= 0.01)
        return float(np.median(self.figures[quiet]))

    def rows(self, rng: np.random.Generator, length: int) -> Array:
        """Row numbers in runs of geometric length: the stationary bootstrap (Politis and Romano, 1994), so that what
        lasts for seconds lasts for seconds here.
        """
        n = len(self.figures)
        rows = np.empty(length, dtype=np.intp)
        for index in range(length):
            rows[index] = rng.integers(n) if index == 0 or rng.random() < 1 / _RUN else (rows[index - 1] + 1) % n
        return rows


def recorded(path: Path) -> Population:
    """From `benchmarks.record_noise`'s file; blocks are cut to an equal number of samples for the naive gates."""
    with np.load(path) as file:
        data = {name: file[name] for name in file.files}
    parts = np.split(data["samples_ns"].astype(np.float64) / 1e6, data["ends"][:-1])
    parts = parts[: len(parts) // 2 * 2]
    figures = np.asarray([np.quantile(part, 0.9, method="median_unbiased") for part in parts]).reshape(-1, 2)
    fastest = np.asarray([part.min() for part in parts]).reshape(-1, 2)
    n = min(map(len, parts))
    samples = np.stack([part[:n] for part in parts]).reshape(-1, 2, n)
    waited = (np.maximum(data["waited_ns"], data["stolen_ns"]) / data["wall_ns"])[: len(parts)].reshape(-1, 2)
    probe = data["probe_ns"][: len(parts)].astype(np.float64).reshape(-1, 2)
    return Population(f"recorded: {path.stem}", samples, probe, waited, figures, fastest)


def synthetic(name: str, rng: np.random.Generator, rounds: int = 4_000) -> Population:
    """A made-up machine, by its name in `SYNTHETIC`."""
    shape = (rounds, 2)
    times = np.arange(2 * rounds).reshape(shape)
    machine, process = np.zeros(shape), rng.normal(0, 0.012, shape)
    if name == "drift":  # 6% up and down within two minutes
        machine = 0.03 * (1 + np.sin(2 * np.pi * times * BLOCK_S / 120))
    if name == "autocorrelated":  # AR(1) over blocks, 1.5% in all
        machine = 0.015 * _ar1(0.8, 2 * rounds, rng).reshape(shape)
    if name == "bursts":  # a quarter of the time slower by a fifth to one half, for five seconds on average
        machine = _bursts(2 * rounds, rng).reshape(shape)
    if name == "two modes":  # three processes in ten come out 6% slower
        process = process + 0.06 * (rng.random(shape) < 0.3)
    if name == "all of it":
        machine = 0.01 * _ar1(0.8, 2 * rounds, rng).reshape(shape) + _bursts(2 * rounds, rng).reshape(shape)
        machine = machine + 0.01 * (1 + np.sin(2 * np.pi * times * BLOCK_S / 120))
        process = process + 0.04 * (rng.random(shape) < 0.3)
    level = 2.0 * np.exp(machine + process)
    inside = np.exp(rng.normal(0, 0.02, (*shape, _SAMPLES))) + rng.exponential(0.05, (*shape, _SAMPLES)) * (
        rng.random((*shape, _SAMPLES)) < 0.08
    )
    samples = level[..., None] * inside
    probe = 130_000 * np.exp(machine + rng.normal(0, 0.008, shape))
    figures = np.quantile(samples, 0.9, axis=-1, method="median_unbiased")
    return Population(f"synthetic: {name}", samples, probe, np.zeros(shape), figures, samples.min(axis=-1))


def _ar1(rho: float, n: int, rng: np.random.Generator) -> Array:
    values, noise = np.empty(n), rng.normal(0, np.sqrt(1 - rho**2), n)
    values[0] = rng.normal()
    for index in range(1, n):
        values[index] = rho * values[index - 1] + noise[index]
    return values


def _bursts(n: int, rng: np.random.Generator) -> Array:
    values, index = np.zeros(n), 0
    while index < n:
        index += rng.geometric(BLOCK_S / 15)
        length = rng.geometric(BLOCK_S / 5)
        values[index : index + length] = rng.uniform(0.2, 0.5)
        index += length
    return values
