"""Mixed precision: phase that keeps the fewest layers in float32 with which a low precision meets its accuracy budget.

Layers are ranked once, by the error that the precision in one layer alone adds to its output. Bisection then finds the
shortest prefix of that ranking that meets the budget, with log2(layers) evaluations. A candidate with fewer kept layers
is faster, so the shortest prefix is also the most likely to meet a latency budget.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from hwbench.wording import count
from toolchain.candidates.candidate import Candidate, with_typed_graph
from toolchain.search import trial_steps, variants
from toolchain.search.state import SearchState
from toolchain.search.trials import Trial

_LOW = ("int8", "bf16", "fp16")  # precisions in which layers are kept in float32


def keep_sensitive_layers(state: SearchState) -> None:
    """Keep layers in float32 for the fastest trial of each low precision that misses its accuracy budget."""
    for precision in _LOW:
        fastest = next((trial for trial in state.fastest if trial.computes_in(precision)), None)
        if fastest is not None and not state.acceptance.meets_accuracy(fastest):
            _keep_layers(state, fastest)


def fewest_layers(
    low: Candidate,
    ranking: tuple[str, ...],
    run: Callable[[Candidate], Trial],
    meets_accuracy: Callable[[Trial], bool],
) -> tuple[Trial, ...]:
    """Keep the most sensitive layers of a candidate in float32 until it meets the accuracy budget.

    Args:
        low: the candidate that misses it.
        ranking: the layers that it computes in its low precision, the most sensitive first.
        run: makes a candidate and scores it.
        meets_accuracy: tells whether a trial meets the accuracy budget.

    Returns:
        Every trial, in the order tried, at most ceil(log2(layers)); all but the one with the fewest kept layers are
        rejected, with the reason.
    """
    tried: dict[int, Trial] = {}

    def is_enough(kept: int) -> bool:
        recipe = dataclasses.replace(low.recipe, keep=tuple(sorted({*low.recipe.keep, *ranking[:kept]})))
        tried[kept] = run(dataclasses.replace(low, recipe=recipe))
        return tried[kept].failure is None and meets_accuracy(tried[kept])

    found = smallest(len(ranking), is_enough)
    fewest = len({*low.recipe.keep, *ranking[:found]})
    return tuple(
        trial if kept == found or trial.failure else dataclasses.replace(trial, rejected=_why(trial, fewest))
        for kept, trial in tried.items()
    )


def smallest(most: int, is_enough: Callable[[int], bool]) -> int:
    """Find the smallest number from 1 to `most` that is enough, by bisection.

    It assumes that 0 is not enough, that `most` is enough, and that more is never worse.
    """
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        if is_enough(middle):
            high = middle
        else:
            low = middle
    return high


def _keep_layers(state: SearchState, trial: Trial) -> None:
    """Keep layers of a trial in float32, unless a trial that meets all budgets is already as fast.

    Kept layers only slow a candidate down, so that none with kept layers could be faster than that trial.
    """
    candidate = with_typed_graph(trial.candidate)
    if candidate is None or _is_slower(
        trial, [other for other in state.fastest if state.acceptance.may_be_selected(other)]
    ):
        return

    def run(candidate: Candidate) -> Trial:
        state.context.clock.check()
        samples: trial_steps.Samples = "ranking" if state.acceptance.ranks_by_same_metric else "evaluation"
        return state.put(trial_steps.score(state.make(candidate), state.context, samples)())

    ranking = state.context.builder.sensitivity(candidate.recipe)
    for found in fewest_layers(candidate, ranking, run, state.acceptance.meets_accuracy):
        state.put(found)
        if found.is_running:
            _measure(state, trial, found)


def _measure(state: SearchState, parent: Trial, found: Trial) -> None:
    """Score a trial with kept layers on the evaluation samples, and measure it side by side with its parent."""
    found = trial_steps.score(found, state.context, "evaluation")()
    state.put(trial_steps.check_sizes(found, state.profile, state.context))
    state.reject_too_large()
    scored = state.trials[found.name]
    if state.timed and scored.is_running:
        state.put_all(variants.measure(parent, [scored], state.sample_long)[1:])


def _is_slower(trial: Trial, others: Sequence[Trial]) -> bool:
    """Tell whether a trial is no faster than the fastest of the others."""
    mine, best = trial.speed_ms, min((other.speed_ms for other in others if other.speed_ms), default=None)
    return mine is not None and best is not None and mine >= best


def _why(trial: Trial, fewest: int) -> str:
    kept = len(trial.candidate.recipe.keep)
    if kept < fewest:
        return f"with {count(kept, 'layer')} in float32 it was not shown to meet the accuracy budget"
    return f"{count(fewest, 'layer')} in float32 are enough to meet the accuracy budget"
