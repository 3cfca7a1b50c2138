"""Successive halving: measure all a little, let the worse half go, and spend the time on the rest.

Jamieson and Talwalkar, 2016, Non-stochastic Best Arm Identification and Hyperparameter Optimization. What is worse
has two sides here, so that none goes that is faster or closer to the source than all that are kept.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from hwbench.wording import count
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.search.attempts import Attempt

FINALISTS = 4
"""Candidates that are measured well, beside the source."""

MARGIN = 1.15
"""Short measurements on a shared machine move by as much."""

_TO_MEND = 2  # candidates that break a budget, and may stay
_CLOSE = 0.002  # of a score: a difference that the ranking data does not tell

Screen = Callable[[Attempt, SamplingPlan], Attempt]
Rank = Callable[[list[Attempt]], list[Attempt]]
Keep = Callable[[Sequence[Attempt]], object]
Breaks = Callable[[Attempt], str | None]


def plan_of(round_: int, full: SamplingPlan) -> SamplingPlan:
    """One block of a round: short at first, twice as long in each round after, never beyond the full plan."""
    share = 2**round_ / 8
    return dataclasses.replace(
        full,
        min_runs=max(10, int(full.min_runs * share / 2)),
        duration_s=full.duration_s * share,
        warmup_limit_s=full.warmup_limit_s * min(1.0, 2 * share),
        time_limit_s=max(0.5, full.time_limit_s * share / 2),
    )


def halve(
    attempts: Sequence[Attempt],
    screen: Screen,
    rank: Rank,
    full: SamplingPlan,
    *,
    keep: Keep = lambda _: None,
    breaks: Breaks = lambda _: None,
    finalists: int = FINALISTS,
) -> list[Attempt]:
    """Measure in rounds until few are running; those that go say why.

    Args:
        attempts: all of them; only the running ones take part. The source always stays.
        screen: measures one block of an attempt.
        rank: scores those that are running, which what is slower than the source is not worth.
        full: the plan that finalists will be measured by.
        keep: takes the field as each round leaves it, which an interrupt then does not lose.
        breaks: which budget an attempt is known to break, if any, so that nothing may go for its sake.
        finalists: how many may stay beside the source.
    """
    field, round_ = list(attempts), 0
    while True:
        # One block of everybody, so that a disturbance hits all alike.
        field = [screen(attempt, plan_of(round_, full)) if attempt.is_running else attempt for attempt in field]
        if round_ == 0:
            field = rank(outrun(field, breaks))
        if _running(field) > finalists + 1:
            field = cut(field, round_, breaks, finalists)
        keep(field)
        if _running(field) <= finalists + 1:
            return field
        round_ += 1


def outrun(attempts: Sequence[Attempt], breaks: Breaks) -> list[Attempt]:
    """Let go what is slower than the source beyond doubt: whatever it would rank as, the source loses nothing.

    Unless the source itself breaks a budget, such as one of size.
    """
    source = next((attempt for attempt in attempts if attempt.is_source and attempt.is_running), None)
    if source is None or source.median_ms is None or breaks(source):
        return list(attempts)
    bar = source.median_ms
    return [
        dataclasses.replace(attempt, dropped=f"{_slower(attempt, source, 0)}, which loses nothing")
        if attempt.is_running and attempt.median_ms is not None and attempt.median_ms > MARGIN * bar
        else attempt
        for attempt in attempts
    ]


def cut(attempts: Sequence[Attempt], round_: int, breaks: Breaks, finalists: int = FINALISTS) -> list[Attempt]:
    """Let go what is dominated, and of the rest the slower ones, until no more than half are left.

    First what breaks a budget; the fastest of those stay, since keeping some of their layers in float may mend them.
    """
    running = [attempt for attempt in attempts if attempt.is_running and not attempt.is_source]
    most = max(finalists, math.ceil(len(running) / 2))
    able = [attempt for attempt in running if not breaks(attempt)]
    gone: dict[str, str] = {}
    for attempt in running:
        better = next((other for other in able if dominates(other, attempt)), None)
        if better is not None:
            gone[attempt.name] = _why(attempt, better, round_)
    left = sorted((attempt for attempt in running if attempt.name not in gone), key=_speed)
    good, bad = ([attempt for attempt in left if (attempt in able) is right] for right in (True, False))
    closest = [max(left, key=_closeness)] if left else []
    stay = [*closest, *bad[:_TO_MEND]][:most]
    slowest = [attempt for attempt in [*reversed(bad), *reversed(good)] if attempt not in stay]
    for attempt in slowest[: max(0, len(left) - most)]:
        better = (good if attempt in good else bad)[0]
        gone[attempt.name] = "; ".join(filter(None, (breaks(attempt), _why(attempt, better, round_))))
    return [
        dataclasses.replace(attempt, dropped=gone[attempt.name]) if attempt.name in gone else attempt
        for attempt in attempts
    ]


def cut_short(running: Sequence[Attempt], why: str, breaks: Breaks, finalists: int = FINALISTS) -> list[Attempt]:
    """Of those that are running, let all but the fastest go, for want of time; the source stays."""
    others = [attempt for attempt in running if not attempt.is_source]
    others.sort(key=lambda attempt: (attempt.median_ms is None, breaks(attempt) is not None, _speed(attempt)))
    gone = {attempt.name for attempt in others[finalists // 2 :]}
    return [unfinished(attempt, why) if attempt.name in gone else attempt for attempt in running]


def unfinished(attempt: Attempt, why: str) -> Attempt:
    """Let it go for want of time, with what is known of it."""
    seen = "not looked at" if attempt.ranked is None else "ranked, not scored"
    if attempt.median_ms is not None:
        seen = f"screened at p50 {attempt.median_ms:.3g} ms, not scored"
    return dataclasses.replace(attempt, dropped=f"{seen}: {why}")


def dominates(one: Attempt, other: Attempt) -> bool:
    """Whether one is faster beyond doubt, and as close to the source."""
    return _speed(one) * MARGIN < _speed(other) and _is_as_close(one, other)


def _running(field: Sequence[Attempt]) -> int:
    return sum(attempt.is_running for attempt in field)


def _speed(attempt: Attempt) -> float:
    return attempt.median_ms if attempt.median_ms is not None else math.inf


def _closeness(attempt: Attempt) -> float:
    if attempt.ranked is None:
        return -math.inf
    return attempt.ranked.value if attempt.ranked.higher_is_better else -attempt.ranked.value


def _is_as_close(one: Attempt, other: Attempt) -> bool:
    bar = _closeness(other)
    return _closeness(one) >= bar - _CLOSE * abs(bar)


def _why(attempt: Attempt, better: Attempt, round_: int) -> str:
    lost = "no closer to the source" if _is_as_close(better, attempt) else "too slow to stay"
    return f"{_slower(attempt, better, round_)}, and {lost}"


def _slower(attempt: Attempt, better: Attempt, round_: int) -> str:
    mine, best = _speed(attempt), _speed(better)
    figures = f"p50 {mine:.3g} against {best:.3g} ms, {count(round_ + 1, 'process', 'processes')} each"
    return f"{mine / best:.2g}x slower than {better.name} in screening ({figures})"
