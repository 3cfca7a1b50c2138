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
from toolchain.search.trials import Trial

FINALISTS = 4
"""Candidates that are measured well, beside the source."""

MARGIN = 1.15
"""Short measurements on a shared machine move by as much."""

_TO_MEND = 2  # candidates that break a budget, and may stay
_CLOSE = 0.002  # of a score: a difference that the ranking data does not tell

Screen = Callable[[Trial, SamplingPlan], Trial]
Rank = Callable[[list[Trial]], list[Trial]]
Keep = Callable[[Sequence[Trial]], object]
Breaks = Callable[[Trial], str | None]


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
    trials: Sequence[Trial],
    screen: Screen,
    rank: Rank,
    full: SamplingPlan,
    *,
    keep: Keep = lambda _: None,
    breaks: Breaks = lambda _: None,
    finalists: int = FINALISTS,
) -> list[Trial]:
    """Measure in rounds until few are running; those that go say why.

    Args:
        trials: all of them; only the running ones take part. The source always stays.
        screen: measures one block of an attempt.
        rank: scores those that are running, which what is slower than the source is not worth.
        full: the plan that finalists will be measured by.
        keep: takes the field as each round leaves it, which an interrupt then does not lose.
        breaks: which budget an attempt is known to break, if any, so that nothing may go for its sake.
        finalists: how many may stay beside the source.
    """
    field, round_ = list(trials), 0
    while True:
        # One block of everybody, so that a disturbance hits all alike.
        field = [screen(trial, plan_of(round_, full)) if trial.is_running else trial for trial in field]
        if round_ == 0:
            field = rank(outrun(field, breaks))
        if _running(field) > finalists + 1:
            field = cut(field, round_, breaks, finalists)
        keep(field)
        if _running(field) <= finalists + 1:
            return field
        round_ += 1


def outrun(trials: Sequence[Trial], breaks: Breaks) -> list[Trial]:
    """Let go what is slower than the source beyond doubt: whatever it would rank as, the source loses nothing.

    Unless the source itself breaks a budget, such as one of size.
    """
    source = next((trial for trial in trials if trial.is_source and trial.is_running), None)
    if source is None or source.median_ms is None or breaks(source):
        return list(trials)
    bar = source.median_ms
    return [
        dataclasses.replace(trial, rejected=f"{_slower(trial, source, 0)}, which loses nothing")
        if trial.is_running and trial.median_ms is not None and trial.median_ms > MARGIN * bar
        else trial
        for trial in trials
    ]


def cut(trials: Sequence[Trial], round_: int, breaks: Breaks, finalists: int = FINALISTS) -> list[Trial]:
    """Let go what is dominated, and of the rest the slower ones, until no more than half are left.

    First what breaks a budget; the fastest of those stay, since keeping some of their layers in float may mend them.
    """
    running = [trial for trial in trials if trial.is_running and not trial.is_source]
    most = max(finalists, math.ceil(len(running) / 2))
    able = [trial for trial in running if not breaks(trial)]
    gone: dict[str, str] = {}
    for trial in running:
        better = next((other for other in able if dominates(other, trial)), None)
        if better is not None:
            gone[trial.name] = _why(trial, better, round_)
    left = sorted((trial for trial in running if trial.name not in gone), key=_speed)
    good, bad = ([trial for trial in left if (trial in able) is right] for right in (True, False))
    closest = [max(left, key=_closeness)] if left else []
    stay = [*closest, *bad[:_TO_MEND]][:most]
    slowest = [trial for trial in [*reversed(bad), *reversed(good)] if trial not in stay]
    for trial in slowest[: max(0, len(left) - most)]:
        better = (good if trial in good else bad)[0]
        gone[trial.name] = "; ".join(filter(None, (breaks(trial), _why(trial, better, round_))))
    return [dataclasses.replace(trial, rejected=gone[trial.name]) if trial.name in gone else trial for trial in trials]


def cut_short(running: Sequence[Trial], why: str, breaks: Breaks, finalists: int = FINALISTS) -> list[Trial]:
    """Of those that are running, let all but the fastest go, for want of time; the source stays."""
    others = [trial for trial in running if not trial.is_source]
    others.sort(key=lambda trial: (trial.median_ms is None, breaks(trial) is not None, _speed(trial)))
    gone = {trial.name for trial in others[finalists // 2 :]}
    return [unfinished(trial, why) if trial.name in gone else trial for trial in running]


def unfinished(trial: Trial, why: str) -> Trial:
    """Let it go for want of time, with what is known of it."""
    seen = "not looked at" if trial.ranked is None else "ranked, not scored"
    if trial.median_ms is not None:
        seen = f"screened at p50 {trial.median_ms:.3g} ms, not scored"
    return dataclasses.replace(trial, rejected=f"{seen}: {why}")


def dominates(one: Trial, other: Trial) -> bool:
    """Whether one is faster beyond doubt, and as close to the source."""
    return _speed(one) * MARGIN < _speed(other) and _is_as_close(one, other)


def _running(field: Sequence[Trial]) -> int:
    return sum(trial.is_running for trial in field)


def _speed(trial: Trial) -> float:
    return trial.median_ms if trial.median_ms is not None else math.inf


def _closeness(trial: Trial) -> float:
    if trial.ranked is None:
        return -math.inf
    return trial.ranked.value if trial.ranked.higher_is_better else -trial.ranked.value


def _is_as_close(one: Trial, other: Trial) -> bool:
    bar = _closeness(other)
    return _closeness(one) >= bar - _CLOSE * abs(bar)


def _why(trial: Trial, better: Trial, round_: int) -> str:
    lost = "no closer to the source" if _is_as_close(better, trial) else "too slow to stay"
    return f"{_slower(trial, better, round_)}, and {lost}"


def _slower(trial: Trial, better: Trial, round_: int) -> str:
    mine, best = _speed(trial), _speed(better)
    figures = f"p50 {mine:.3g} against {best:.3g} ms, {count(round_ + 1, 'process', 'processes')} each"
    return f"{mine / best:.2g}x slower than {better.name} in screening ({figures})"
