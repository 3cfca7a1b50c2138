"""Phase that tunes the fastest candidates: it tries fewer threads, and the options that their builder names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hwbench.wording import count
from runtimes.bundles.manifest import RuntimeSettings
from toolchain.builders import builder
from toolchain.candidates.candidate import Candidate
from toolchain.search import variants
from toolchain.search.state import SearchState, speed
from toolchain.search.trials import Trial

_TUNED = 2  # candidates whose settings are tried: the fastest
_MAX_SLOWDOWN = 1.3  # times the fastest's latency; settings make up for no more


def tune(state: SearchState) -> None:
    """Try other settings for the fastest; a variant that is faster takes its parent's place."""
    fastest = [trial for trial in state.fastest if not state.acceptance.broken_by_ranking(trial)]
    for parent in fastest[:_TUNED]:
        if speed(parent) <= _MAX_SLOWDOWN * speed(fastest[0]):
            varied = [_vary(state, parent, candidate) for candidate in other_settings(parent.candidate)]
            state.put_all(variants.compare(parent, varied, state.sample_long))


def other_settings(candidate: Candidate) -> Iterator[Candidate]:
    """Yield the candidate with other settings, one changed at a time; its threads are the most the profile allows."""
    settings = candidate.settings
    made_by = builder(candidate.runtime)
    threads = settings.threads // 2 if made_by.USES_THREADS else 0
    while threads:
        yield _with(candidate, RuntimeSettings(threads, settings.options), count(threads, "thread"))
        threads //= 2
    for options in made_by.tunings(settings.threads):
        shown = ", ".join(f"{name}={value}" for name, value in options.items())
        yield _with(candidate, RuntimeSettings(settings.threads, {**settings.options, **options}), shown)


def _vary(state: SearchState, parent: Trial, candidate: Candidate) -> Trial:
    """Make the same file with other settings; its outputs, and so its rank, are its parent's."""
    state.context.clock.check()
    return state.put(dataclasses.replace(state.make(candidate), ranked=parent.ranked))


def _with(candidate: Candidate, settings: RuntimeSettings, variant: str) -> Candidate:
    return dataclasses.replace(candidate, settings=settings, variant=variant)
