"""Phase that stores the weights of a float32 candidate in fewer bits, if it would be selected otherwise.

Such forms compute in float32 again, so that they can be smaller and not faster, and most models have a faster one.
Before this phase they are neither made nor measured, unless weights have to come from memory in every inference, or a
budget limits the size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hwbench.machine.identity import Machine
from toolchain.candidates.candidate import Candidate
from toolchain.candidates.expected_gain import only_stores
from toolchain.search import successive_halving, trial_steps, variants
from toolchain.search.state import SearchState
from toolchain.search.trials import Trial

_CACHE_BYTES = 1 << 25  # of the last level, on a machine that does not show its caches


def held_back(state: SearchState, source: Trial) -> list[Candidate]:
    """List the candidates that are tried in this phase alone, each for the float32 candidate on the same runtime."""
    floats = {one.runtime for one in state.candidates if one.recipe.precision == "fp32" and one.refusal is None}
    sized = any(budget.quantity == "size" for budget in state.acceptance.budgets)
    size_bytes = source.artifact.size_bytes if source.artifact is not None else 0
    if state.exhaustive or not state.timed or sized or size_bytes > _cache_bytes(state.context.machine):
        return []
    return [one for one in state.candidates if only_stores(one) and one.refusal is None and one.runtime in floats]


def not_tried(candidate: Candidate) -> Trial:
    """Make the trial of a candidate that is held back, with the reason."""
    floats = f"fp32 ({candidate.runtime})"
    return Trial(candidate, f"not tried: it computes in float32, and {floats} is not the fastest that may be selected")


def store_weights(state: SearchState) -> None:
    """Make and measure the smaller forms of the fastest trial that may be selected, if that is float32."""
    best = next((trial for trial in state.fastest if state.acceptance.may_be_selected(trial)), None)
    if best is None or best.candidate.recipe.precision != "fp32":
        return
    forms = [
        dataclasses.replace(one, settings=best.candidate.settings, variant=best.candidate.variant)
        for one in held_back(state, best)
        if one.runtime == best.candidate.runtime
    ]
    for form in forms:
        state.context.clock.check()
        state.put(trial_steps.score(state.make(form), state.context, "ranking")())
    running = [trial for trial in _of(state, forms) if trial.is_running and not state.acceptance.broken_budgets(trial)]
    if running:
        measured, *others = variants.measure(best, running, state.sample_long)
        state.put_all(_no_better(measured, others))
    for trial in _of(state, forms):
        if trial.is_running:
            scored = state.put(trial_steps.score(trial, state.context, "evaluation")())
            state.put(trial_steps.check_sizes(scored, state.profile, state.context))


def _no_better(best: Trial, forms: Sequence[Trial]) -> list[Trial]:
    """Reject forms that another form makes pointless; the float32 trial itself stays for comparison."""
    rejected = successive_halving.stored_no_better([best, *forms])
    return [dataclasses.replace(trial, rejected=rejected.get(trial.name)) for trial in forms]


def _of(state: SearchState, forms: Sequence[Candidate]) -> list[Trial]:
    return [trial for trial in state.trials.values() if trial.candidate in forms]


def _cache_bytes(machine: Machine) -> int:
    return max(machine.caches_bytes.values(), default=_CACHE_BYTES)
