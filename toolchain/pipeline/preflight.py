"""Checks of a build request before anything is exported, so that a mistake costs nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from runtimes.bundles.states import States
from runtimes.errors import UsageError
from runtimes.profile import HardwareProfile
from toolchain.candidates.candidate import Candidate
from toolchain.engines.planner import RUNTIMES
from toolchain.engines.shape_ranges import DimensionRanges
from toolchain.models.onnx_model import load_ir, precision_of
from toolchain.recipes import apply_recipe
from toolchain.sources.open_source import is_onnx

_OF_ONE_ANSWER = ("top1", "top5", "auc")

CandidatesByProfile = Sequence[tuple[HardwareProfile, Sequence[Candidate]]]
"""Candidates to try, by profile."""


class NothingToTryError(UsageError):
    """A profile has no candidate to try."""


def check_candidates(listed: CandidatesByProfile) -> None:
    """Refuse a profile without any candidate to try: its runtimes are not installed, or lack the arithmetic.

    Raises:
        NothingToTryError: no candidate can be tried; the message gives the reason for each.
    """
    for profile, candidates in listed:
        if all(candidate.refusal is not None for candidate in candidates):
            why = " ".join(dict.fromkeys(str(candidate.refusal) for candidate in candidates))
            raise NothingToTryError(f"There is nothing to try for {profile.name}: {why}")


def check_samples(
    listed: CandidatesByProfile,
    precisions: Collection[str],
    source: str,
    calibration: Path | None,
    table: Path | None,
) -> None:
    """Refuse a named precision that needs samples, if there are none.

    A precision that was not named becomes a candidate in the report that was not built.

    Args:
        listed: the candidates to try.
        precisions: the precisions that the user named.
        source: a file, or MODULE:FACTORY. The precision that an ONNX file has already needs no samples.
        calibration: calibration samples.
        table: a calibration table.

    Raises:
        UsageError: samples are missing; the message says which option gives them.
    """
    if calibration is not None or not precisions:
        return
    already = precision_of(load_ir(Path(source))) if is_onnx(Path(source)) else None
    for recipe in (
        candidate.recipe for _, candidates in listed for candidate in candidates if candidate.refusal is None
    ):
        if recipe.precision in precisions and recipe.precision != already:
            apply_recipe.check_samples(recipe, samples=False, table=table is not None)


def check_metrics(metrics: Collection[str], states: States) -> None:
    """Refuse metrics that take one answer per sample for a model whose samples are sequences.

    Raises:
        UsageError: it is such a metric, and the model has states.
    """
    for metric in [name for name in metrics if name.partition(":")[0] in _OF_ONE_ANSWER] if states else ():
        raise UsageError(
            f"The metric {metric} takes one answer per sample, and samples of a model with states are sequences; give "
            "--metric parity, or a function of your own as FILE.py:FUNCTION."
        )


def unused_ranges(
    profile: HardwareProfile, candidates: Sequence[Candidate], ranges: Sequence[DimensionRanges]
) -> list[str]:
    """Write a note that --range was not used, if no candidate is an engine.

    That is no mistake: an edgewright.toml may hold ranges for another profile.
    """
    if not ranges or any(candidate.runtime in RUNTIMES for candidate in candidates):
        return []
    return [f"--range was not used: it gives sizes for engines, and no engine is built for {profile.name}."]
