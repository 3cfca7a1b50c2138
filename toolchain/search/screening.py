"""Successive halving: measure all candidates a little, let the worse half go, and spend the time on the rest.

Source: Jamieson and Talwalkar, 2016, Non-stochastic Best Arm Identification and Hyperparameter Optimization. Here a
candidate can be worse in two ways, so that none goes that is faster or closer to the source than all that stay.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from hwbench.wording import count
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.search.trials import Trial

FINALISTS = 4
"""The number of candidates that are measured well, beside the source."""

MARGIN = 1.15
"""Ratio by which short measurements on a shared machine vary."""

_TO_MEND = 2  # candidates that break a budget and stay, since keeping layers in float32 may mend them
_CLOSE = 0.002  # of a score: the ranking samples cannot tell a smaller difference

Screen = Callable[[Trial, SamplingPlan], Trial]
Rank = Callable[[list[Trial]], list[Trial]]
Keep = Callable[[Sequence[Trial]], object]
Breaks = Callable[[Trial], str | None]


def plan_of(round_: int, full: SamplingPlan) -> SamplingPlan:
    """Plan a block of a round: short at first, twice as long in each later round, never longer than the full plan."""
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
    """Measure in rounds until few trials are running; each that goes has a reason.

    Args:
        trials: all trials; only the running ones take part. The source always stays.
        screen: measures one block of a trial.
        rank: scores the running trials; by then those slower than the source are gone.
        full: the plan that finalists will be measured by.
        keep: takes the trials after each round, so that an interrupt does not lose them.
        breaks: names the budgets that a trial is known to break; such a trial lets no other go.
        finalists: the number of trials that may stay beside the source.
    """
    field, round_ = list(trials), 0
    while True:
        # One block of each in turn, so that interference hits all alike.
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
    """Let go trials that are clearly slower than the source, which loses no accuracy, whatever their rank would be.

    Nothing goes if the source itself breaks a budget, such as one of size.
    """
    source = next((trial for trial in trials if trial.is_source and trial.is_running), None)
    if source is None or source.median_ms is None or breaks(source):
        return list(trials)
    bar = source.median_ms
    return [
        dataclasses.replace(trial, rejected=f"{_slower(trial, source, 0)}, which loses no accuracy")
        if trial.is_running and trial.median_ms is not None and trial.median_ms > MARGIN * bar
        else trial
        for trial in trials
    ]


def cut(trials: Sequence[Trial], round_: int, breaks: Breaks, finalists: int = FINALISTS) -> list[Trial]:
    """Let go dominated trials, and of the rest the slower ones, until no more than half are left.

    Those that break a budget go first. The fastest of them stay: keeping some layers in float32 may mend them.
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
    """Let all but the fastest running trials go, since the time is over; the source stays."""
    others = [trial for trial in running if not trial.is_source]
    others.sort(key=lambda trial: (trial.median_ms is None, breaks(trial) is not None, _speed(trial)))
    gone = {trial.name for trial in others[finalists // 2 :]}
    return [unfinished(trial, why) if trial.name in gone else trial for trial in running]


def unfinished(trial: Trial, why: str) -> Trial:
    """Let a trial go since the time is over; the reason says how far it came."""
    seen = "not measured" if trial.ranked is None else "ranked, not scored"
    if trial.median_ms is not None:
        seen = f"screened at p50 {trial.median_ms:.3g} ms, not scored"
    return dataclasses.replace(trial, rejected=f"{seen}: {why}")


def dominates(one: Trial, other: Trial) -> bool:
    """Tell whether one is clearly faster than the other, and as close to the source."""
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
    lost = "no closer to the source" if _is_as_close(better, trial) else "too slow for the next round"
    return f"{_slower(trial, better, round_)}, and {lost}"


def _slower(trial: Trial, better: Trial, round_: int) -> str:
    mine, best = _speed(trial), _speed(better)
    figures = f"p50 {mine:.3g} against {best:.3g} ms, {count(round_ + 1, 'process', 'processes')} each"
    return f"{mine / best:.2g}x slower than {better.name} in screening ({figures})"
