"""Successive halving: measure all candidates a little, reject the worse half, and spend the time on the rest.

Source: Jamieson and Talwalkar, 2016, Non-stochastic Best Arm Identification and Hyperparameter Optimization. Speed
and closeness to the source both count here, so that the fastest and the closest candidate stay.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from hwbench.wording import count
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.search.trials import Trial

FINALISTS = 4
"""Number of candidates that are measured well, beside the source."""

MARGIN = 1.15
"""Ratio by which short measurements on a shared machine vary."""

_IN_HASTE = FINALISTS // 2  # finalists beside the source, if the time was over before the rounds were
_MAX_BROKEN = 2  # candidates that break a budget and stay, since with layers in float32 they may meet it
_SAME_SPEED = 1.05  # ratio up to which two forms that compute the same count as equally fast
_CLOSE = 0.002  # of a score: the ranking samples cannot tell a smaller difference

Sample = Callable[[Trial, SamplingPlan], Trial]
Rank = Callable[[list[Trial]], list[Trial]]
Store = Callable[[Sequence[Trial]], object]
Broken = Callable[[Trial], str | None]


def round_plan(round_: int, full: SamplingPlan) -> SamplingPlan:
    """Plan a block of a round: short at first, twice as long in each later round, never longer than the full plan."""
    share = 2**round_ / 8  # of the full plan: an eighth in the first round, all of it in the fourth
    return dataclasses.replace(
        full,
        min_runs=max(10, int(full.min_runs * share / 2)),
        duration_s=full.duration_s * share,
        warmup_limit_s=full.warmup_limit_s * min(1.0, 2 * share),
        time_limit_s=max(0.5, full.time_limit_s * share / 2),
    )


def halve(
    trials: Sequence[Trial],
    sample: Sample,
    rank: Rank,
    full: SamplingPlan,
    *,
    store: Store = lambda _: None,
    broken: Broken = lambda _: None,
    finalists: int = FINALISTS,
) -> list[Trial]:
    """Measure in rounds until few trials are running; each rejected trial has a reason.

    Args:
        trials: all trials; only the running ones take part. The source always stays.
        sample: measures one block of a trial.
        rank: scores the running trials, after those slower than the source were rejected.
        full: the plan that finalists will be measured by.
        store: takes the trials after each round, so that an interrupt does not lose them.
        broken: names the budgets that a trial is known to break; no other trial is rejected because of such a trial.
        finalists: the number of trials that may stay beside the source.
    """
    state, round_ = list(trials), 0
    while True:
        # Each trial is measured once per round, so that interference hits all alike.
        state = [sample(trial, round_plan(round_, full)) if trial.is_running else trial for trial in state]
        if round_ == 0:
            state = rank(reject_slower_than_source(state, broken))
        if _running(state) > finalists + 1:
            state = reject_worse_half(state, round_, broken, finalists)
        store(state)
        if _running(state) <= finalists + 1:
            return state
        round_ += 1


def reject_slower_than_source(trials: Sequence[Trial], broken: Broken) -> list[Trial]:
    """Reject trials that are clearly slower than the source, before they are scored: the source loses no accuracy.

    No trial is rejected if the source itself breaks a budget, such as one of size.
    """
    source = next((trial for trial in trials if trial.is_source and trial.is_running), None)
    if source is None or source.median_ms is None or broken(source):
        return list(trials)
    bar = source.median_ms
    return [
        dataclasses.replace(trial, rejected=f"{_slower(trial, source, 0)}, which loses no accuracy")
        if trial.is_running and trial.median_ms is not None and trial.median_ms > MARGIN * bar
        else trial
        for trial in trials
    ]


def reject_worse_half(trials: Sequence[Trial], round_: int, broken: Broken, finalists: int = FINALISTS) -> list[Trial]:
    """Reject dominated trials, then the slowest of the others, until no more than half are left.

    Trials that break a budget are rejected first, except the fastest two: with layers in float32 they may meet it.
    """
    running = [trial for trial in trials if trial.is_running and not trial.is_source]
    most = max(finalists, math.ceil(len(running) / 2))
    able = [trial for trial in running if not broken(trial)]
    rejected = stored_no_better(able)
    for trial in running:
        better = next((other for other in able if dominates(other, trial)), None)
        if better is not None:
            rejected[trial.name] = _why(trial, better, round_)
    left = sorted((trial for trial in running if trial.name not in rejected), key=_speed)
    good, bad = ([trial for trial in left if (trial in able) is wanted] for wanted in (True, False))
    closest = [max(left, key=_closeness)] if left else []
    stay = [*closest, *bad[:_MAX_BROKEN]][:most]
    slowest = [trial for trial in [*reversed(bad), *reversed(good)] if trial not in stay]
    for trial in slowest[: max(0, len(left) - most)]:
        better = (good if trial in good else bad)[0]
        rejected[trial.name] = "; ".join(filter(None, (broken(trial), _why(trial, better, round_))))
    return [
        dataclasses.replace(trial, rejected=rejected[trial.name]) if trial.name in rejected else trial
        for trial in trials
    ]


def stored_no_better(able: Sequence[Trial]) -> dict[str, str]:
    """Find trials that another form of the same float32 weights makes pointless, with the reasons.

    A runtime turns 16-bit weights back into float32 while it loads them, so that these forms compute the same as fast,
    and measurements would choose among them by chance. The smallest stays, and of equal size the most exact.
    """
    forms = [trial for trial in able if trial.ranked is not None and _computes_floats(trial)]
    forms.sort(key=lambda trial: (_size(trial), -_closeness(trial)))
    rejected: dict[str, str] = {}
    for number, trial in enumerate(forms):
        for other in forms[:number]:
            same = other.candidate.runtime == trial.candidate.runtime and other.name not in rejected
            if same and _speed(other) <= _SAME_SPEED * _speed(trial) and is_as_close(other, trial):
                how = "smaller" if _size(other) < _size(trial) else "no larger"
                rejected[trial.name] = f"no faster and no more exact than {other.name}, which is {how}"
                break
    return rejected


def reject_for_time(running: Sequence[Trial], why: str, broken: Broken, *, timed: bool = True) -> list[Trial]:
    """Reject all but the fastest running trials, since the time is over; the source stays.

    Args:
        running: the running trials.
        why: the reason why the time is over.
        broken: names the budgets that a trial is known to break.
        timed: this machine is the device; what was not measured goes then, since nothing says that it is worth
            shipping, unless there is neither a measured trial nor the source.
    """
    others = [trial for trial in running if not trial.is_source]
    others.sort(key=lambda trial: (trial.median_ms is None, broken(trial) is not None, _speed(trial)))
    able = [trial for trial in others if trial.median_ms is not None or not timed]
    has_source = len(others) < len(running)
    stay = able[:_IN_HASTE] or ([] if has_source else others[:1])
    return [trial if trial.is_source or trial in stay else reject_unfinished(trial, why) for trial in running]


def reject_unmeasured(running: Sequence[Trial], why: str) -> list[Trial]:
    """Reject the trials that were made and not measured by the time that others were, such as variants of a setting."""
    if not any(trial.median_ms is not None for trial in running):
        return list(running)
    spared = [trial.is_source or trial.median_ms is not None for trial in running]
    return [trial if is_spared else reject_unfinished(trial, why) for trial, is_spared in zip(running, spared)]


def reject_unfinished(trial: Trial, why: str) -> Trial:
    """Reject a trial since the time is over; the reason says how far it came."""
    reached = "not measured" if trial.ranked is None else "ranked, not scored"
    if trial.median_ms is not None:
        reached = f"screened at p50 {trial.median_ms:.3g} ms, not scored"
    return dataclasses.replace(trial, rejected=f"{reached}: {why}")


def dominates(one: Trial, other: Trial) -> bool:
    """Tell whether one trial is clearly faster than the other, and as close to the source."""
    return _speed(one) * MARGIN < _speed(other) and is_as_close(one, other)


def is_as_close(one: Trial, other: Trial) -> bool:
    """Tell whether one trial is as close to the source as the other, as far as the ranking samples can tell."""
    bar = _closeness(other)
    return _closeness(one) >= bar - _CLOSE * abs(bar)


def _running(trials: Sequence[Trial]) -> int:
    return sum(trial.is_running for trial in trials)


def _speed(trial: Trial) -> float:
    return trial.median_ms if trial.median_ms is not None else math.inf


def _closeness(trial: Trial) -> float:
    if trial.ranked is None:
        return -math.inf
    return trial.ranked.value if trial.ranked.higher_is_better else -trial.ranked.value


def _size(trial: Trial) -> int:
    assert trial.artifact is not None
    return trial.artifact.size_bytes


def _computes_floats(trial: Trial) -> bool:
    """Tell whether a trial's weights are float32, or in a half precision that is float32 again once it is loaded."""
    recipe = trial.candidate.recipe
    return recipe.precision in ("fp32", "fp16-storage", "bf16-storage") and recipe.keep_in == "fp32"


def _why(trial: Trial, better: Trial, round_: int) -> str:
    if trial.ranked is None:
        lost = "not ranked, as enough faster ones break no budget"
    else:
        lost = "no closer to the source" if is_as_close(better, trial) else "too slow for the next round"
    return f"{_slower(trial, better, round_)}, and {lost}"


def _slower(trial: Trial, better: Trial, round_: int) -> str:
    mine, best = _speed(trial), _speed(better)
    figures = f"p50 {mine:.3g} against {best:.3g} ms, {count(round_ + 1, 'process', 'processes')} each"
    return f"{mine / best:.2g}x slower than {better.name} in screening ({figures})"
