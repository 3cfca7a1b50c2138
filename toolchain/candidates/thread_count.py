"""Number of threads of candidates, as far as the machine that measures them has cores."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hwbench.wording import count
from toolchain.candidates.candidate import Candidate


def within_cores(candidates: Sequence[Candidate], cores: int) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
    """Give candidates no more threads than there are cores, with a note if any had more.

    More threads than cores take turns, which says nothing of a machine that has the cores.
    """
    most = max((candidate.settings.threads for candidate in candidates), default=0)
    if most <= cores:
        return tuple(candidates), ()
    note = (
        f"{most} threads were asked for, and this machine has {count(cores, 'core')}, so that no candidate has more; "
        "build on the device for its number."
    )
    return tuple(_with_threads(candidate, cores) for candidate in candidates), (note,)


def _with_threads(candidate: Candidate, cores: int) -> Candidate:
    settings = dataclasses.replace(candidate.settings, threads=min(candidate.settings.threads, cores))
    return dataclasses.replace(candidate, settings=settings)
