"""Stages of a build, with about how many steps each takes, for its progress bar."""

from __future__ import annotations

from collections.abc import Sequence

from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine
from hwbench.progress import Stage
from runtimes.profile import HardwareProfile
from toolchain.candidates.candidate import Candidate
from toolchain.search.schedule import schedule
from toolchain.search.successive_halving import FINALISTS

OPENING = "Opening {source}"
REFERENCE = "Running the source, to compare with"
PEAKS = "Measuring what this machine can do"
PACKING = "{profile}: pack"


def stages(
    source: str, listed: Sequence[tuple[HardwareProfile, Sequence[Candidate]]], machine: Machine, *, exhaustive: bool
) -> tuple[Stage, ...]:
    """List the stages of a build, by the names that `hwbench.progress.begin_stage` is told.

    Args:
        source: the source as the user gave it.
        listed: the candidates that each profile starts with.
        machine: this machine; candidates of a profile that does not fit it are not timed.
        exhaustive: all candidates are measured well.
    """
    found = [Stage(OPENING.format(source=source), 1, "opening the model"), Stage(REFERENCE, 1, "running the source")]
    for profile, candidates in listed:
        made = sum(candidate.refusal is None for candidate in candidates)
        timed = device_profiles.fits(profile, machine)
        finalists = min(made, FINALISTS + 1) if timed and not exhaustive else made
        shown = f"{profile.name}, " if len(listed) > 1 else ""
        found += [
            Stage(f"{profile.name}: {phase.name}", phase.steps(made, finalists), shown + phase.name)
            for phase in schedule(timed=timed, exhaustive=exhaustive)
        ]
        found.append(Stage(PEAKS, 0, f"{shown}measuring this machine"))  # measured once a month
        found.append(Stage(PACKING.format(profile=profile.name), 1, f"{shown}pack"))
    return tuple(found)
