"""Stages of a build, with about how many steps each takes, for its progress bar."""

from __future__ import annotations

from collections.abc import Sequence

from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine
from hwbench.progress import Stage
from runtimes.profile import HardwareProfile
from toolchain.candidates.candidate import Candidate
from toolchain.search.phases import phases
from toolchain.search.screening import FINALISTS

OPENING = "Opening {source}"
REFERENCE = "Running the source, to compare with"
PEAKS = "Measuring what this machine can do"
PACKING = "{profile}: pack"


def stages(
    source: str, plans: Sequence[tuple[HardwareProfile, Sequence[Candidate]]], machine: Machine, *, exhaustive: bool
) -> tuple[Stage, ...]:
    """List the stages of a build, by the names that `hwbench.progress.begin_stage` is told.

    Args:
        source: as the user gave it.
        plans: candidates that each profile starts with.
        machine: this machine; nothing is timed for a profile that is not of this machine.
        exhaustive: whether all candidates are measured well.
    """
    found = [Stage(OPENING.format(source=source), 1, "opening the model"), Stage(REFERENCE, 1, "running the source")]
    for profile, plan in plans:
        made = sum(candidate.refusal is None for candidate in plan)
        timed = device_profiles.fits(profile, machine)
        finalists = min(made, FINALISTS + 1) if timed and not exhaustive else made
        shown = f"{profile.name}, " if len(plans) > 1 else ""
        found += [
            Stage(f"{profile.name}: {phase.name}", phase.steps(made, finalists), shown + phase.name)
            for phase in phases(timed=timed, exhaustive=exhaustive)
        ]
        found.append(Stage(PEAKS, 0, f"{shown}measuring this machine"))  # measured once a month
        found.append(Stage(PACKING.format(profile=profile.name), 1, f"{shown}pack"))
    return tuple(found)
