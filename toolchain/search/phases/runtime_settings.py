"""Runtime settings that may make a candidate faster: fewer threads, and options that its runtime's builder names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from runtimes.bundles.manifest import RuntimeSettings
from toolchain.builders import builder
from toolchain.candidates.candidate import Candidate


def variants(candidate: Candidate) -> Iterator[Candidate]:
    """Yield the candidate with other settings, one changed at a time; its threads are the most the profile allows."""
    settings = candidate.settings
    made_by = builder(candidate.runtime)
    threads = settings.threads // 2 if made_by.USES_THREADS else 0
    while threads:
        shown = "1 thread" if threads == 1 else f"{threads} threads"
        yield _with(candidate, RuntimeSettings(threads, settings.options), shown)
        threads //= 2
    for options in made_by.tunings(settings.threads):
        shown = ", ".join(f"{name}={value}" for name, value in options.items())
        yield _with(candidate, RuntimeSettings(settings.threads, {**settings.options, **options}), shown)


def _with(candidate: Candidate, settings: RuntimeSettings, variant: str) -> Candidate:
    return dataclasses.replace(candidate, settings=settings, variant=variant)
