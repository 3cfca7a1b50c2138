"""The largest rate of arrivals that holds a latency bound, by a search; what it looks at shows how latency grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import Verdict
from hwbench.measurements import interference
from hwbench.measurements.latency import Latency
from hwbench.measurements.quantities import PERCENTILES, per_s
from hwbench.stats import intervals

PROCESSES = 2
"""That measure at each rate."""
_CONFIRMING = 1  # more where those miss the bound: what one of them met and the other did not decides nothing
_LATER = 3  # more, once, of rates that are doubtful: a disturbance may have lasted for all there were
# Shares of what the model answers at most, which may have been more than was measured while something disturbed it.
_STEPS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
_LEAST = 1 / 64  # of that, where hardly a query waits: what misses the bound there misses it anywhere
_PRECISION = 1.05  # how far the smallest rate that misses the bound may be from the largest that holds it


def search(
    measure: Callable[[float, int], Latency], bound: Budget, capacity_per_s: float, lowest_per_s: float
) -> tuple[Latency, ...]:
    """Measure rates up to saturation, then between the last that holds the bound and the first that misses it.

    A miss is believed when another process confirms it. Rates that contradict each other are measured again later:
    those that missed the bound though a higher one held it, and if they still miss it, those that held. So is the first
    that missed, where the search ends just below it: what disturbed it may be over.

    Args:
        measure: measures at a rate, in queries per second, in one process; its place among those of that rate, from 0.
        bound: on a percentile.
        capacity_per_s: what the model answers where queries need not be waited for, about the rate that saturates.
        lowest_per_s: no rate below this is tried, nor below one at which hardly a query waits. Where no other rate
            holds the bound, the larger of the two is tried.

    Returns:
        What was measured, the lowest rate first.
    """
    tried: dict[float, Latency] = {}
    again: set[float] = set()

    def look(rate: float, processes: int) -> None:
        for _ in range(processes):
            before = tried[rate].blocks if rate in tried else ()
            found = measure(rate, len(before))
            tried[rate] = replace(found, blocks=before + found.blocks)

    def judge(rate: float) -> None:
        look(rate, PROCESSES)
        if not holds(tried[rate], bound):
            look(rate, _CONFIRMING)

    def look_again(rate: float) -> None:
        if rate not in again:
            again.add(rate)
            look(rate, _LATER)

    floor = max(lowest_per_s, _LEAST * capacity_per_s)
    steps = [max(step * capacity_per_s, lowest_per_s) for step in _STEPS]
    while True:
        for rate in steps:
            if rate not in tried:
                judge(rate)
            if tried[rate].is_saturated:
                break
        for doubtful in (_missed_below, _held_above):
            for rate in doubtful(tried, bound):
                look_again(rate)
        while (between := _between(tried, bound)) is not None and (rate := max(between, floor)) not in tried:
            judge(rate)
        missed = _first_missed(tried, bound)
        if missed is None or missed in again:
            return tuple(tried[rate] for rate in sorted(tried))
        look_again(missed)


def largest(rates: Sequence[Latency], bound: Budget) -> int | None:
    """The index of the last rate before the first that misses the bound; None where the lowest misses it.

    A higher one that held after all was lucky.
    """
    held = next((index for index, latency in enumerate(rates) if not holds(latency, bound)), len(rates))
    return held - 1 if held else None


def contradicted(rates: Sequence[Latency], bound: Budget) -> tuple[int, ...]:
    """The indices of rates that missed the bound though a higher one held it, which no load alone explains."""
    held = {index for index, latency in enumerate(rates) if holds(latency, bound)}
    return tuple(index for index in range(max(held, default=0)) if index not in held)


def holds(latency: Latency, bound: Budget) -> bool:
    """Whether a rate holds the bound: by MLPerf's early stopping, and with no queue that grows."""
    tail = latency.tail_ms(percent_of(bound))
    return tail is not None and tail <= bound.limit and not latency.is_saturated


def is_percentile(bound: Budget) -> bool:
    """Whether it limits a percentile."""
    return any(bound.quantity == f"p{percent:g}" for percent in PERCENTILES)


def percent_of(bound: Budget) -> float:
    """99.0 for a bound on p99."""
    return next(percent for percent in PERCENTILES if bound.quantity == f"p{percent:g}")


def verdict(rates: Sequence[Latency], bound: Budget, lowest_per_s: float) -> Verdict:
    """Pass, with the largest rate that holds the bound, or fail.

    Inconclusive where a rate might hold it that takes too long, where a higher rate held it than one that missed, or
    where none did and something disturbed the lowest.

    Args:
        rates: what `search` found.
        bound: on a percentile.
        lowest_per_s: as for `search`.
    """
    index, percent = largest(rates, bound), percent_of(bound)
    figure = None if index is None else rates[index].percentile(percent)
    if missed := contradicted(rates, bound):
        higher = max(at for at, latency in enumerate(rates) if holds(latency, bound))
        held = "" if index is None else f"held at {_told(rates[index], bound)}, "
        found = f"{held}missed at {_told(rates[missed[0]], bound)}, and held at {_told(rates[higher], bound)} after all"
        remedy = "something else used this machine, so measure again on a quieter one"
        return Verdict(bound, "inconclusive", figure, f"{found}; {remedy}")
    if index is None and _target(rates[0]) <= lowest_per_s:
        duration_s = math.ceil(round(intervals.early_stopping_runs_needed(percent / 100) / lowest_per_s, 6))
        seen = f"no rate holds it down to {_told(rates[0], bound)}"
        return Verdict(bound, "inconclusive", None, f"{seen}; --duration {duration_s} tries half of that rate, too")
    if index is None and (why := interference.crowded(rates[0].undisturbed.blocks)) is not None:
        seen = f"no rate held it down to {_told(rates[0], bound)}, but {why} meanwhile"
        return Verdict(bound, "inconclusive", None, f"{seen}; measure again on a quieter machine")
    if index is None:
        return Verdict(bound, "fail", None, f"no rate holds it: {_told(rates[0], bound)}")
    reason = f"held at {_told(rates[index], bound)}"
    if index + 1 < len(rates):
        reason += f", missed at {_told(rates[index + 1], bound)}"
        why = interference.crowded(rates[index + 1].undisturbed.blocks)
        reason += f"; {why} meanwhile, so the largest rate may be higher" if why is not None else ""
    return Verdict(bound, "pass", figure, reason)


def _first_missed(tried: dict[float, Latency], bound: Budget) -> float | None:
    """The lowest rate that missed the bound."""
    return next((rate for rate in sorted(tried) if not holds(tried[rate], bound)), None)


def _missed_below(tried: dict[float, Latency], bound: Budget) -> list[float]:
    """Rates that missed the bound though a higher one held it."""
    rates = sorted(tried)
    return [rates[index] for index in contradicted([tried[rate] for rate in rates], bound)]


def _held_above(tried: dict[float, Latency], bound: Budget) -> list[float]:
    """Rates that held the bound though a lower one missed it."""
    missed = _missed_below(tried, bound)
    return [rate for rate in sorted(tried) if missed and rate > missed[0] and holds(tried[rate], bound)]


def _between(tried: dict[float, Latency], bound: Budget) -> float | None:
    """The next rate to look at; None where what is left between holding and missing is small enough, or unsure."""
    rates = sorted(tried)
    if _missed_below(tried, bound):
        return None
    index = largest([tried[rate] for rate in rates], bound)
    if index is None:
        return rates[0] / 2
    if index + 1 == len(rates) or rates[index + 1] <= _PRECISION * rates[index]:
        return None
    return math.sqrt(rates[index] * rates[index + 1])


def _target(latency: Latency) -> float:
    """Queries per second."""
    return (latency.load.target_per_s if latency.load is not None else None) or 0.0


def _told(latency: Latency, bound: Budget) -> str:
    tail = latency.tail_ms(percent_of(bound))
    figure = f"{bound.quantity} {tail:.3g} ms" if tail is not None else f"too few queries for {bound.quantity}"
    queue = ", and the queue grew" if latency.is_saturated else ""
    return f"{per_s(latency.asked_per_s)} per s ({figure}{queue})"
