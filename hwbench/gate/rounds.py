"""What a gate has measured so far, and what it says about a budget: figures of blocks, and bounds on their median."""

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
from hwbench.measurements import interference, soak
from hwbench.measurements.interference import NOISE, Surroundings
from hwbench.measurements.latency import STOOD_STILL, block_figure, meter_stood_still
from hwbench.measurements.report import NeverMeasuredError, NotMeasuredError
from hwbench.stats import confidence_sequences
from hwbench.stats.intervals import Estimate
from runtimes.sampling.closed_loop import Block
from runtimes.tensors import Array


class Observed(NamedTuple):
    """Per block: its figure, NaN where it has none, and what that would at least and at most have been, had it not been
    disturbed.
    """

    figures: Array
    floors: Array
    ceilings: Array


@dataclass(frozen=True)
class Rounds:
    """Blocks in the order of measuring; those of candidate and baseline with one index are a round.

    Attributes:
        reference_ns: what the probe took on this machine in quieter times, where that is remembered.
    """

    candidate: tuple[Block, ...]
    baseline: tuple[Block, ...] = ()
    reference_ns: float | None = None

    def __len__(self) -> int:
        return len(self.candidate)

    def bounds(
        self, budget: Budget, fail_alpha: float = confidence_sequences.ALPHA, *, counted_only: bool = False
    ) -> Estimate:
        """The median block's figure, or the median round's relative change, with bounds that hold at any time.

        With `counted_only`, those that do not count might have been anything, had nothing disturbed them.

        The bounds of a figure are wider by how far the probe wandered, and on the side of failing by how far it was
        from quieter times: the machine is known no better than that. A change needs no such care, for what wanders
        meets both sides of a round, in random order: whatever it does, it raises the ratio as often as it lowers it.

        Raises:
            NotMeasuredError: a block is too short for this percentile.
        """
        seen, counts = self._seen(budget)
        low_alpha, high_alpha = (
            (fail_alpha, confidence_sequences.ALPHA) if budget.is_upper else (confidence_sequences.ALPHA, fail_alpha)
        )
        floors = np.full_like(seen.floors, -np.inf) if counted_only else seen.floors
        ceilings = np.full_like(seen.ceilings, np.inf) if counted_only else seen.ceilings
        low = confidence_sequences.lower_bound(seen.figures[counts], np.where(counts, seen.figures, floors), low_alpha)
        high = confidence_sequences.upper_bound(
            seen.figures[counts], np.where(counts, seen.figures, ceilings), high_alpha
        )
        value = float(np.nanmedian(seen.figures[counts] if counts.any() else seen.figures))
        if budget.relative:
            return Estimate(math.expm1(value), math.expm1(low), math.expm1(high))
        slack = 1 + max(self.wander, self._lag)
        low_slack, high_slack = (slack, 1 + self.wander) if budget.is_upper else (1 + self.wander, slack)
        return Estimate(value, max(low, 0.0) / low_slack, high * high_slack)

    def middle(self, budget: Budget) -> float:
        """The median block's figure, or the median round's relative change, of all there are."""
        value = float(np.nanmedian(self._seen(budget)[0].figures))
        return math.expm1(value) if budget.relative else value

    def detectable_change(self, budget: Budget, n: int) -> float:
        """The smallest relative change that `n` rounds like these would show; infinite where none would.

        How far rounds stray comes from runs of one thing against itself: the baseline against its own next block, or
        without a baseline the blocks around their median.
        """
        seen, counts = self._seen(budget)
        if budget.relative:
            strays = self._against_itself(budget)
        else:
            strays = np.log(seen.figures[counts] / np.median(seen.figures[counts])) if counts.any() else np.empty(0)
        shift = confidence_sequences.detectable_shift(strays, round(n * float(counts.mean())))
        return math.expm1(shift) + (0.0 if budget.relative else self.wander) if math.isfinite(shift) else math.inf

    def can_measure(self, budget: Budget) -> bool:
        """Whether more rounds like these may tell."""
        try:
            self._seen(budget)
        except NotMeasuredError as reason:
            return not isinstance(reason, NeverMeasuredError)
        return True

    def counted(self, budget: Budget) -> int:
        """How many blocks or rounds count; a figure is their median, or that of all where none does."""
        return int(self._seen(budget)[1].sum())

    def evidence(self, budget: Budget, what: str = "counted") -> str:
        """How many blocks or rounds were undisturbed, in whatever word, and what disturbed the others."""
        reasons, noun = self._reasons(budget), "rounds" if budget.relative else "blocks"
        disturbed = Counter(reason for reason in reasons if reason is not None)
        why = ", ".join(f"{count} {reason}" for reason, count in disturbed.most_common())
        found = f"{len(reasons) - disturbed.total()} of {len(reasons)} {noun} {what}"
        return f"{found} ({why})" if why else found

    @cached_property
    def wander(self) -> float:
        """The relative standard deviation of the probe over the candidate's blocks that count."""
        return confidence_sequences.relative_spread(self._probes) if self._probes else 0.0

    @cached_property
    def _lag(self) -> float:
        """How much longer the median of those probes is than the fastest known."""
        level = interference.reference(self.met("candidate"))
        known = [value for value in (level, self.reference_ns) if value is not None]
        return max(float(np.median(self._probes)) / min(known) - 1, 0.0) if self._probes and known else 0.0

    @cached_property
    def _probes(self) -> list[float]:
        met = zip(self.met("candidate"), self._disturbed)
        return [seen.probe_ns for seen, why in met if why is None and seen.probe_ns is not None]

    def observed(self, side: str, quantity: str) -> Observed:
        """One side's blocks, "candidate" or "baseline", in numbers."""
        return _observe(getattr(self, side), quantity)

    def met(self, side: str) -> tuple[Surroundings, ...]:
        """What one side's blocks met."""
        return tuple(interference.surroundings(block) for block in getattr(self, side))

    def _seen(self, budget: Budget) -> tuple[Observed, Array]:
        """Figures, or logarithms of the ratio to the baseline's, and which of them count."""
        seen = self.observed("candidate", budget.quantity)
        if budget.relative:
            other = self.observed("baseline", budget.quantity)
            with np.errstate(divide="ignore"):  # a floor may be zero
                seen = Observed(
                    np.log(seen.figures / other.figures),
                    np.log(seen.floors) - np.log(other.ceilings),
                    np.log(seen.ceilings) - np.log(other.floors),
                )
        if np.isnan(seen.figures).all():
            raise NotMeasuredError(STOOD_STILL)
        undisturbed = np.asarray([reason is None for reason in self._reasons(budget)], dtype=bool)
        return seen, undisturbed & ~np.isnan(seen.figures)

    def _reasons(self, budget: Budget) -> tuple[str | None, ...]:
        """Why each block or round does not count; None for those that do."""
        if budget.quantity == "peak_memory":  # nobody else's work changes what memory a process takes
            return (None,) * len(self)
        return self._interrupted if budget.relative else self._disturbed

    @cached_property
    def _disturbed(self) -> tuple[str | None, ...]:
        met = (*self.met("candidate"), *self.met("baseline"))
        return interference.disturbances(met, self.reference_ns)[: len(self)]

    @cached_property
    def _interrupted(self) -> tuple[str | None, ...]:
        pairs = zip(self.met("candidate"), self.met("baseline"))
        return tuple(ours.interruption or theirs.interruption for ours, theirs in pairs)

    def _against_itself(self, budget: Budget) -> Array:
        """Log ratios of each baseline block to the next, where nothing interrupted the two."""
        figures, met = self.observed("baseline", budget.quantity).figures, self.met("baseline")
        undisturbed = [(a.interruption or b.interruption) is None for a, b in itertools.pairwise(met)]
        ratios: Array = np.log(figures[:-1] / figures[1:])[np.asarray(undisturbed, dtype=bool)]
        return ratios[~np.isnan(ratios)]


def _observe(blocks: Sequence[Block], quantity: str) -> Observed:
    leaks = [told for told in map(soak.leak, blocks) if told is not None]
    if 2 * len(leaks) > len(blocks):  # what it takes depends on how long it has run
        raise NotMeasuredError(leaks[0])
    if quantity == "energy":
        return _observe_energy(blocks)
    figures = _figures(blocks, quantity)
    if quantity == "throughput":
        fastest = np.asarray([block.batch * 1e9 / min(block.samples_ns) for block in blocks])
        return Observed(figures, figures, NOISE * fastest)
    if quantity == "load_time":
        return Observed(figures, figures / NOISE, figures)
    if quantity == "peak_memory":
        return Observed(figures, figures, figures)
    return Observed(figures, np.asarray([min(block.samples_ns) / 1e6 for block in blocks]) / NOISE, figures)


def _observe_energy(blocks: Sequence[Block]) -> Observed:
    """The meters count what others draw as well, and nobody knows how much that is; one that did not move in a block
    says nothing at all.
    """
    moved = np.asarray([not meter_stood_still(block) for block in blocks])
    figures = np.full(len(blocks), np.nan)
    figures[moved] = _figures([block for block in blocks if not meter_stood_still(block)], "energy")
    return Observed(figures, np.zeros_like(figures), np.where(moved, figures, np.inf))


def _figures(blocks: Sequence[Block], quantity: str) -> Array:
    try:
        return np.asarray([block_figure(block, quantity) for block in blocks], dtype=np.float64)
    except ValueError as problem:
        raise NeverMeasuredError(str(problem)) from None
