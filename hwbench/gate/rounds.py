"""Rounds of a gate: the figures of all blocks measured so far, and bounds on their median."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hwbench.budgets.budget import Budget
from hwbench.budgets.family_error import FamilyError
from hwbench.measurements import interference, soak
from hwbench.measurements.interference import MAX_SLOWDOWN, BlockInterference
from hwbench.measurements.latency import METER_STOOD_STILL, block_figure, meter_stood_still
from hwbench.measurements.report import NeverMeasuredError, NotMeasuredError
from hwbench.stats import confidence_sequences
from hwbench.stats.intervals import Estimate
from runtimes.sampling.closed_loop import Block
from runtimes.tensors import Array

_ONE_BUDGET = FamilyError(confidence_sequences.ALPHA)


class BlockFigures(NamedTuple):
    """Figures of blocks, NaN for a block without one, and the bounds of each block's figure without interference.

    Attributes:
        figures: one per block.
        lowest, highest: the lowest and the highest figure that each block could have had without interference.
    """

    figures: Array
    lowest: Array
    highest: Array


@dataclass(frozen=True)
class Rounds:
    """Blocks in the order of measurement; those of candidate and baseline with one index are a round.

    Attributes:
        reference_ns: the probe's time on this machine in its quietest earlier run; None if it is not known.
    """

    candidate: tuple[Block, ...]
    baseline: tuple[Block, ...] = ()
    reference_ns: float | None = None

    def __len__(self) -> int:
        return len(self.candidate)

    def bounds(self, budget: Budget, error: FamilyError = _ONE_BUDGET, *, undisturbed_only: bool = False) -> Estimate:
        """Bound the median block's figure, or the median round's relative change, at any time.

        The bounds of a figure are wider by the spread of the probe, and on the side of failing by the probe's slowdown
        since quieter times: the machine's speed is known no more exactly. A change needs no such margin, for the
        machine's speed affects both sides of a round, in random order, and so raises the ratio as often as it lowers
        it.

        Args:
            budget: names the quantity, and the side of failing.
            error: the probabilities of error on the sides of failing and of passing.
            undisturbed_only: assume nothing about disturbed blocks: without interference, their figures might have
                been anything.

        Raises:
            NotMeasuredError: a block is too short for this percentile.
        """
        blocks, is_counted = self._figures(budget)
        alphas = (error.of_failing, error.of_passing)
        low_alpha, high_alpha = alphas if budget.is_upper else alphas[::-1]
        lowest = np.full_like(blocks.lowest, -np.inf) if undisturbed_only else blocks.lowest
        highest = np.full_like(blocks.highest, np.inf) if undisturbed_only else blocks.highest
        figures, undisturbed = blocks.figures, blocks.figures[is_counted]
        low = confidence_sequences.lower_bound(undisturbed, np.where(is_counted, figures, lowest), low_alpha)
        high = confidence_sequences.upper_bound(undisturbed, np.where(is_counted, figures, highest), high_alpha)
        value = float(np.nanmedian(undisturbed if is_counted.any() else figures))
        if budget.relative:
            return Estimate(math.expm1(value), math.expm1(low), math.expm1(high))
        spread, margin = 1 + self.probe_spread, 1 + max(self.probe_spread, self._probe_slowdown)
        low_margin, high_margin = (margin, spread) if budget.is_upper else (spread, margin)
        return Estimate(value, max(low, 0.0) / low_margin, high * high_margin)

    def median(self, budget: Budget) -> float:
        """Return the median figure of all blocks, or the median relative change of all rounds, disturbed or not."""
        value = float(np.nanmedian(self._figures(budget)[0].figures))
        return math.expm1(value) if budget.relative else value

    def detectable_change(self, budget: Budget, n: int) -> float:
        """Estimate the smallest relative change that `n` rounds like these would show; infinite if none would.

        The spread of rounds comes from runs of one model against itself: the baseline's blocks against its own next
        blocks, or without a baseline the candidate's blocks around their median.
        """
        blocks, is_counted = self._figures(budget)
        undisturbed = blocks.figures[is_counted]
        if budget.relative:
            deviations = self._baseline_against_itself(budget)
        else:
            deviations = np.log(undisturbed / np.median(undisturbed)) if is_counted.any() else np.empty(0)
        shift = confidence_sequences.detectable_shift(deviations, round(n * float(is_counted.mean())))
        if not math.isfinite(shift):
            return math.inf
        return math.expm1(shift) + (0.0 if budget.relative else self.probe_spread)

    def can_measure(self, budget: Budget) -> bool:
        """Tell whether more rounds like these may lead to a verdict."""
        try:
            self._figures(budget)
        except NotMeasuredError as reason:
            return not isinstance(reason, NeverMeasuredError)
        return True

    def counted(self, budget: Budget) -> int:
        """Count the blocks or rounds that count; a figure is their median, or the median of all if none counts."""
        return int(self._figures(budget)[1].sum())

    def describe_undisturbed(self, budget: Budget) -> str:
        """Say how many processes or rounds were undisturbed, and name the causes that disturbed the others."""
        reasons, noun = self._disturbances(budget), "rounds" if budget.relative else "processes"
        disturbed = Counter(reason for reason in reasons if reason is not None)
        why = ", ".join(f"{count} {reason}" for reason, count in disturbed.most_common())
        text = f"{len(reasons) - disturbed.total()} of {len(reasons)} {noun} undisturbed"
        return f"{text} ({why})" if why else text

    @cached_property
    def probe_spread(self) -> float:
        """The relative standard deviation of the probe over the candidate's undisturbed blocks."""
        return confidence_sequences.relative_spread(self._probes) if self._probes else 0.0

    @cached_property
    def _probe_slowdown(self) -> float:
        """The relative slowdown of the median undisturbed probe since the fastest known probe."""
        level = interference.undisturbed_probe_ns(self.interference("candidate"))
        known = [value for value in (level, self.reference_ns) if value is not None]
        return max(float(np.median(self._probes)) / min(known) - 1, 0.0) if self._probes and known else 0.0

    @cached_property
    def _probes(self) -> list[float]:
        blocks = zip(self.interference("candidate"), self._disturbed)
        return [block.probe_ns for block, why in blocks if why is None and block.probe_ns is not None]

    def block_figures(self, side: str, quantity: str) -> BlockFigures:
        """List the figures of one side's blocks, "candidate" or "baseline"."""
        return _block_figures(getattr(self, side), quantity)

    def interference(self, side: str) -> tuple[BlockInterference, ...]:
        """List the interference with one side's blocks, "candidate" or "baseline"."""
        return tuple(interference.block_interference(block) for block in getattr(self, side))

    def _figures(self, budget: Budget) -> tuple[BlockFigures, Array]:
        """List the figures, or logarithms of their ratio to the baseline's, and tell which of them count."""
        blocks = self.block_figures("candidate", budget.quantity)
        if budget.relative:
            other = self.block_figures("baseline", budget.quantity)
            with np.errstate(divide="ignore"):  # the lowest figure may be zero
                blocks = BlockFigures(
                    np.log(blocks.figures / other.figures),
                    np.log(blocks.lowest) - np.log(other.highest),
                    np.log(blocks.highest) - np.log(other.lowest),
                )
        if np.isnan(blocks.figures).all():
            raise NotMeasuredError(METER_STOOD_STILL)
        undisturbed = np.asarray([reason is None for reason in self._disturbances(budget)], dtype=bool)
        return blocks, undisturbed & ~np.isnan(blocks.figures)

    def _disturbances(self, budget: Budget) -> tuple[str | None, ...]:
        """Name the cause that disturbed each block or round; None for undisturbed ones."""
        if budget.quantity == "peak_memory":  # other programs do not change how much memory a process takes
            return (None,) * len(self)
        return self._interrupted if budget.relative else self._disturbed

    @cached_property
    def _disturbed(self) -> tuple[str | None, ...]:
        blocks = (*self.interference("candidate"), *self.interference("baseline"))
        return interference.disturbances(blocks, self.reference_ns)[: len(self)]

    @cached_property
    def _interrupted(self) -> tuple[str | None, ...]:
        pairs = zip(self.interference("candidate"), self.interference("baseline"))
        return tuple(ours.interruption or theirs.interruption for ours, theirs in pairs)

    def _baseline_against_itself(self, budget: Budget) -> Array:
        """List the log ratios of each baseline block to the next, of those pairs that nothing interrupted."""
        figures = self.block_figures("baseline", budget.quantity).figures
        pairs = itertools.pairwise(self.interference("baseline"))
        undisturbed = [(a.interruption or b.interruption) is None for a, b in pairs]
        ratios: Array = np.log(figures[:-1] / figures[1:])[np.asarray(undisturbed, dtype=bool)]
        return ratios[~np.isnan(ratios)]


def _block_figures(blocks: Sequence[Block], quantity: str) -> BlockFigures:
    leaks = [leak for leak in map(soak.leak, blocks) if leak is not None]
    if 2 * len(leaks) > len(blocks):  # a leaking process takes more time and memory the longer it runs
        raise NotMeasuredError(leaks[0])
    if quantity == "energy":
        return _energy_figures(blocks)
    figures = _figures(blocks, quantity)
    if quantity == "throughput":
        fastest = np.asarray([block.batch * 1e9 / min(block.samples_ns) for block in blocks])
        return BlockFigures(figures, figures, MAX_SLOWDOWN * fastest)
    if quantity == "load_time":
        return BlockFigures(figures, figures / MAX_SLOWDOWN, figures)
    if quantity == "peak_memory":
        return BlockFigures(figures, figures, figures)
    fastest_ms = np.asarray([min(block.samples_ns) / 1e6 for block in blocks])
    return BlockFigures(figures, fastest_ms / MAX_SLOWDOWN, figures)


def _energy_figures(blocks: Sequence[Block]) -> BlockFigures:
    """List the energy per inference. The meters count an unknown share of other programs' energy, too, and a meter that
    did not move during a block gives no figure at all.
    """
    moved = np.asarray([not meter_stood_still(block) for block in blocks])
    figures = np.full(len(blocks), np.nan)
    figures[moved] = _figures([block for block in blocks if not meter_stood_still(block)], "energy")
    return BlockFigures(figures, np.zeros_like(figures), np.where(moved, figures, np.inf))


def _figures(blocks: Sequence[Block], quantity: str) -> Array:
    try:
        return np.asarray([block_figure(block, quantity) for block in blocks], dtype=np.float64)
    except ValueError as problem:
        raise NeverMeasuredError(str(problem)) from None
