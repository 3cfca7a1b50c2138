"""What is asked of a build and cannot be had: refused before anything is exported, so that a mistake costs nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from runtimes.errors import UsageError
from runtimes.profile import HardwareProfile
from toolchain.candidates.candidate import Candidate
from toolchain.engines.planner import RUNTIMES
from toolchain.engines.shape_ranges import DimensionRanges
from toolchain.models.onnx_model import load_ir, precision_of
from toolchain.recipes import apply_recipe
from toolchain.sources.open_source import is_onnx

Plans = Sequence[tuple[HardwareProfile, Sequence[Candidate]]]
"""By profile, what is to be tried."""


def check_candidates(plans: Plans) -> None:
    """Refuse a profile for which nothing can be tried: its runtimes are not installed, or lack the arithmetic.

    Raises:
        UsageError: says why of each.
    """
    for profile, plan in plans:
        if all(candidate.refusal is not None for candidate in plan):
            why = " ".join(dict.fromkeys(str(candidate.refusal) for candidate in plan))
            raise UsageError(f"There is nothing to try for {profile.name}: {why}")


def check_samples(
    plans: Plans, precisions: Collection[str], source: str, calibration: Path | None, table: Path | None
) -> None:
    """Refuse a precision that was named and needs samples, where there are none. One that nobody named is a row in the
    report that says so.

    Args:
        plans: what is to be tried.
        precisions: those that were named.
        source: a file, or MODULE:FACTORY. What an ONNX file is in already needs no samples.
        calibration: where samples come from.
        table: a calibration table.

    Raises:
        UsageError: says what to give.
    """
    if calibration is not None or not precisions:
        return
    already = precision_of(load_ir(Path(source))) if is_onnx(Path(source)) else None
    for recipe in (candidate.recipe for _, plan in plans for candidate in plan if candidate.refusal is None):
        if recipe.precision in precisions and recipe.precision != already:
            apply_recipe.check_samples(recipe, samples=False, table=table is not None)


def unused_ranges(profile: HardwareProfile, plan: Sequence[Candidate], ranges: Sequence[DimensionRanges]) -> list[str]:
    """A sentence on sizes of dynamic dimensions, where nothing that is to be tried is an engine; else none.

    A project file may hold them for another profile, so they are no mistake.
    """
    if not ranges or any(candidate.runtime in RUNTIMES for candidate in plan):
        return []
    return [f"--range gives the sizes of engines, and none is built for {profile.name}, so it was not used."]
