"""Tune the fastest candidates: try other runtime settings."""

from __future__ import annotations

import dataclasses

from toolchain.candidates.candidate import Candidate
from toolchain.search import variants
from toolchain.search.phases import runtime_settings
from toolchain.search.state import SearchState, speed
from toolchain.search.trials import Trial

_TUNED = 2  # candidates whose settings are tried: the fastest
_NEAR = 1.3  # times the fastest's latency; settings make up for no more


def tune(state: SearchState) -> None:
    """Try other settings for the fastest; a variant that is faster takes its parent's place."""
    fastest = [trial for trial in state.fastest if not state.acceptance.is_wrong(trial)]
    for parent in fastest[:_TUNED]:
        if speed(parent) <= _NEAR * speed(fastest[0]):
            varied = [_vary(state, parent, candidate) for candidate in runtime_settings.variants(parent.candidate)]
            state.put_all(variants.settled(parent, varied, state.sample_long))


def _vary(state: SearchState, parent: Trial, candidate: Candidate) -> Trial:
    """Make the same file with other settings; its outputs, and so its rank, are its parent's."""
    state.context.clock.check()
    return state.put(dataclasses.replace(state.make(candidate), ranked=parent.ranked))
