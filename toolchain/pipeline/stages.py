"""What a build goes through, and about how many steps each part takes, so that its progress can be shown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine
from hwbench.measurements.interleaved import BLOCKS
from hwbench.progress import Stage
from runtimes.profile import HardwareProfile
from toolchain.candidates.candidate import Candidate
from toolchain.search.screening import FINALISTS

OPENING = "Opening {source}"
REFERENCE = "Running the source, to compare with"
PEAKS = "Measuring what this machine can do"
PACKING = "{profile}: pack"

_VARIANTS = 8  # steps of a finalist's other settings: two made, and measured beside it
_RETURNED = 5  # steps of the candidate whose slow layers are float again


def stages(
    source: str, plans: Sequence[tuple[HardwareProfile, Sequence[Candidate]]], machine: Machine, *, exhaustive: bool
) -> tuple[Stage, ...]:
    """The stages of a build, by the names that `hwbench.progress.phase` is told.

    Args:
        source: as the user gave it.
        plans: what each profile starts with.
        machine: the one we are on; what is no such device is not timed.
        exhaustive: all of the plan is measured well.
    """
    found = [Stage(OPENING.format(source=source), 1, "opening the model"), Stage(REFERENCE, 1, "running the source")]
    for profile, plan in plans:
        made = sum(candidate.refusal is None for candidate in plan)
        phases = _search(made, timed=device_profiles.fits(profile, machine), exhaustive=exhaustive)
        shown = f"{profile.name}, " if len(plans) > 1 else ""
        found += [Stage(f"{profile.name}: {name}", steps, shown + name) for name, steps in phases]
        found.append(Stage(PEAKS, 0, f"{shown}measuring this machine"))  # once a month
        found.append(Stage(PACKING.format(profile=profile.name), 1, f"{shown}pack"))
    return tuple(found)


def _search(made: int, *, timed: bool, exhaustive: bool) -> Iterator[tuple[str, int]]:
    """The phases of a search (`toolchain/search/search.py`) that begins with so many candidates."""
    screened = timed and not exhaustive
    finalists = min(made, FINALISTS + 1) if screened else made
    yield "make candidates", made
    if screened:
        yield "screen", _screened(made)
        yield "tune", _VARIANTS * min(made, 2)
        yield "return slow layers", _RETURNED
    else:
        yield "rank", made
    yield "accept", finalists
    if not exhaustive:
        yield "keep sensitive layers", 0  # most models need none
    if timed:
        yield "time all" if exhaustive else "time", finalists * BLOCKS
        yield "explain", 0


def _screened(made: int) -> int:
    """All are measured and ranked, then half of them again, until few are left; one alone is ranked."""
    if made < 2:
        return made
    steps, left = 2 * made, made
    while left > FINALISTS + 1:
        left = max(FINALISTS, math.ceil((left - 1) / 2)) + 1
        steps += left if left > FINALISTS + 1 else 0
    return steps
