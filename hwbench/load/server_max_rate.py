"""Maximal rate of a server: a search for the largest rate of arrivals that holds a latency bound."""

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
"""Number of processes that measure at each rate."""
_CONFIRMING = 1  # one more process if those miss the bound, so that interference with one of them decides nothing
_LATER = 3  # more processes, once, at rates that contradict others: interference may have met all so far
# Shares of the measured capacity. Some are above 1, since interference may have lowered the measurement.
_STEPS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
_LOWEST_STEP = 1 / 64  # at this share hardly a query waits, so a model that misses the bound misses it at any rate
_PRECISION = 1.05  # largest ratio of the first rate that misses the bound to the last rate that holds it


def search(
    measure: Callable[[float, int], Latency], bound: Budget, capacity_per_s: float, lowest_per_s: float
) -> tuple[Latency, ...]:
    """Measure rates up to saturation, then between the last that holds the bound and the first that misses it.

    A miss counts only if another process confirms it. Rates that contradict each other are measured again later: first
    those that missed the bound though a higher one held it, then, if they still miss it, those that held. The first
    rate that missed is measured again, too, if the search ends just below it: the interference may be over by then.

    Args:
        measure: measures at a rate, in queries per second, in one process; takes its number at that rate, from 0.
        bound: a limit on a percentile.
        capacity_per_s: the rate that the model answers if no query waits, which is about the rate that saturates it.
        lowest_per_s: no rate below this is tried, nor below one at which hardly a query waits. If no other rate
            holds the bound, the larger of the two is tried.

    Returns:
        The latencies, the lowest rate first.
    """
    tried: dict[float, Latency] = {}
    repeated: set[float] = set()

    def look(rate: float, processes: int) -> None:
        for _ in range(processes):
            before = tried[rate].blocks if rate in tried else ()
            latency = measure(rate, len(before))
            tried[rate] = replace(latency, blocks=before + latency.blocks)

    def judge(rate: float) -> None:
        look(rate, PROCESSES)
        if not holds(tried[rate], bound):
            look(rate, _CONFIRMING)

    def look_again(rate: float) -> None:
        if rate not in repeated:
            repeated.add(rate)
            look(rate, _LATER)

    floor = max(lowest_per_s, _LOWEST_STEP * capacity_per_s)
    steps = [max(step * capacity_per_s, lowest_per_s) for step in _STEPS]
    while True:
        for rate in steps:
            if rate not in tried:
                judge(rate)
            if tried[rate].is_saturated:
                break
        for contradicting in (_missed_below, _held_above):
            for rate in contradicting(tried, bound):
                look_again(rate)
        while (between := _between(tried, bound)) is not None and (rate := max(between, floor)) not in tried:
            judge(rate)
        missed = _first_missed(tried, bound)
        if missed is None or missed in repeated:
            return tuple(tried[rate] for rate in sorted(tried))
        look_again(missed)


def largest(rates: Sequence[Latency], bound: Budget) -> int | None:
    """Find the last rate before the first that misses the bound; None if the lowest misses it.

    A higher rate that held the bound does not count: it held by chance.
    """
    held = next((index for index, latency in enumerate(rates) if not holds(latency, bound)), len(rates))
    return held - 1 if held else None


def contradicted(rates: Sequence[Latency], bound: Budget) -> tuple[int, ...]:
    """List the indices of rates that missed the bound though a higher one held it; load alone cannot explain them."""
    held = {index for index, latency in enumerate(rates) if holds(latency, bound)}
    return tuple(index for index in range(max(held, default=0)) if index not in held)


def holds(latency: Latency, bound: Budget) -> bool:
    """Tell whether a rate holds the bound: by MLPerf's early stopping, and without a growing queue."""
    tail = latency.tail_ms(percent_of(bound))
    return tail is not None and tail <= bound.limit and not latency.is_saturated


def is_percentile(bound: Budget) -> bool:
    """Tell whether a budget limits a percentile."""
    return any(bound.quantity == f"p{percent:g}" for percent in PERCENTILES)


def percent_of(bound: Budget) -> float:
    """Return the percent of a bound: 99.0 for a bound on p99."""
    return next(percent for percent in PERCENTILES if bound.quantity == f"p{percent:g}")


def verdict(rates: Sequence[Latency], bound: Budget, lowest_per_s: float) -> Verdict:
    """Judge the bound: pass, with the largest rate that holds it, or fail.

    The verdict is inconclusive if a rate that takes too long to measure might hold the bound, if a rate missed the
    bound though a higher one held it, or if no rate held it and the lowest was disturbed.

    Args:
        rates: the latencies that `search` returned.
        bound: a limit on a percentile.
        lowest_per_s: the lowest rate that `search` was allowed to try.
    """
    index, percent = largest(rates, bound), percent_of(bound)
    figure = None if index is None else rates[index].percentile(percent)
    if missed := contradicted(rates, bound):
        higher = max(at for at, latency in enumerate(rates) if holds(latency, bound))
        held = "" if index is None else f"held at {_describe(rates[index], bound)}, "
        low, high = _describe(rates[missed[0]], bound), _describe(rates[higher], bound)
        contradiction = f"{held}missed at {low}, and held at {high} after all"
        remedy = "something else used this machine, so measure again on a quieter one"
        return Verdict(bound, "inconclusive", figure, f"{contradiction}; {remedy}")
    if index is None and _target(rates[0]) <= lowest_per_s:
        duration_s = math.ceil(round(intervals.early_stopping_runs_needed(percent / 100) / lowest_per_s, 6))
        seen = f"no rate holds the bound down to {_describe(rates[0], bound)}"
        return Verdict(bound, "inconclusive", None, f"{seen}; --duration {duration_s} also tries half of that rate")
    if index is None and (why := interference.load_interference(rates[0].undisturbed.blocks)) is not None:
        seen = f"no rate held the bound down to {_describe(rates[0], bound)}, but {why} during the measurement"
        return Verdict(bound, "inconclusive", None, f"{seen}; measure again on a quieter machine")
    if index is None:
        return Verdict(bound, "fail", None, f"no rate holds the bound: {_describe(rates[0], bound)}")
    reason = f"held at {_describe(rates[index], bound)}"
    if index + 1 < len(rates):
        reason += f", missed at {_describe(rates[index + 1], bound)}"
        why = interference.load_interference(rates[index + 1].undisturbed.blocks)
        reason += f"; {why} during the measurement, so the largest rate may be higher" if why is not None else ""
    return Verdict(bound, "pass", figure, reason)


def _first_missed(tried: dict[float, Latency], bound: Budget) -> float | None:
    """Find the lowest rate that missed the bound."""
    return next((rate for rate in sorted(tried) if not holds(tried[rate], bound)), None)


def _missed_below(tried: dict[float, Latency], bound: Budget) -> list[float]:
    """List the rates that missed the bound though a higher one held it."""
    rates = sorted(tried)
    return [rates[index] for index in contradicted([tried[rate] for rate in rates], bound)]


def _held_above(tried: dict[float, Latency], bound: Budget) -> list[float]:
    """List the rates that held the bound though a lower one missed it."""
    missed = _missed_below(tried, bound)
    return [rate for rate in sorted(tried) if missed and rate > missed[0] and holds(tried[rate], bound)]


def _between(tried: dict[float, Latency], bound: Budget) -> float | None:
    """Choose the next rate to measure; None if holding and missing are close enough, or contradict each other."""
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
    """Return the rate of arrivals that was asked for, in queries per second."""
    return (latency.load.target_per_s if latency.load is not None else None) or 0.0


def _describe(latency: Latency, bound: Budget) -> str:
    tail = latency.tail_ms(percent_of(bound))
    figure = f"{bound.quantity} {tail:.3g} ms" if tail is not None else f"too few queries for {bound.quantity}"
    queue = ", and the queue grew" if latency.is_saturated else ""
    return f"{per_s(latency.asked_per_s)} per s ({figure}{queue})"
