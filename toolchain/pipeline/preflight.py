"""Checks of a build request before anything is exported, so that a mistake costs nothing."""

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
"""The candidates to try, by profile."""


def check_candidates(plans: Plans) -> None:
    """Refuse a profile without any candidate to try: its runtimes are not installed, or lack the arithmetic.

    Raises:
        UsageError: says why for each candidate.
    """
    for profile, plan in plans:
        if all(candidate.refusal is not None for candidate in plan):
            why = " ".join(dict.fromkeys(str(candidate.refusal) for candidate in plan))
            raise UsageError(f"There is nothing to try for {profile.name}: {why}")


def check_samples(
    plans: Plans, precisions: Collection[str], source: str, calibration: Path | None, table: Path | None
) -> None:
    """Refuse a named precision that needs samples, where there are none.

    A precision that was not named becomes a row in the report that says so.

    Args:
        plans: the candidates to try.
        precisions: the precisions that the user named.
        source: a file, or MODULE:FACTORY. The precision that an ONNX file has already needs no samples.
        calibration: calibration samples.
        table: a calibration table.

    Raises:
        UsageError: says which option to give.
    """
    if calibration is not None or not precisions:
        return
    already = precision_of(load_ir(Path(source))) if is_onnx(Path(source)) else None
    for recipe in (candidate.recipe for _, plan in plans for candidate in plan if candidate.refusal is None):
        if recipe.precision in precisions and recipe.precision != already:
            apply_recipe.check_samples(recipe, samples=False, table=table is not None)


def unused_ranges(profile: HardwareProfile, plan: Sequence[Candidate], ranges: Sequence[DimensionRanges]) -> list[str]:
    """Note that --range was not used, where no candidate is an engine.

    That is no mistake: an edgewright.toml may hold ranges for another profile.
    """
    if not ranges or any(candidate.runtime in RUNTIMES for candidate in plan):
        return []
    return [f"--range was not used: it gives sizes for engines, and no engine is built for {profile.name}."]
