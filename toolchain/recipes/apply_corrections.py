"""Application of a recipe's corrections, as far as they bring int8's outputs closer to float's."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import onnx_ir as ir

from hwbench.data.dataset import Dataset
from toolchain import corrections
from toolchain.corrections import Corrected, Stage
from toolchain.graphs.value_range import Range
from toolchain.models.onnx_model import CORRECTIONS_KEY
from toolchain.recipes.output_error import OutputError
from toolchain.recipes.recipe import Recipe


def correct(
    graph: ir.Model,
    recipe: Recipe,
    stages: Collection[Stage],
    ranges: Mapping[str, Range],
    calibration: Dataset,
) -> Corrected:
    """Apply the recipe's corrections of some stages.

    A correction that is fitted layer by layer may raise the error of the whole; it is left out then. The graph's
    metadata, and so the file that is made of it, records how much each correction changed.

    Args:
        graph: the prepared graph; it stays unchanged.
        recipe: the recipe, whose `corrections` are applied in order.
        stages: the stages.
        ranges: the calibrated ranges; empty before calibration.
        calibration: the samples.

    Returns:
        The corrected float graph and the ranges.

    Raises:
        UsageError: a correction is unknown, or the samples cannot be used.
    """
    made, error = Corrected(graph, ranges, 0), OutputError(graph, recipe, calibration)
    left: float | None = None  # the error of what was made so far, once it was measured
    for name in recipe.corrections:
        correction = corrections.correction(name)
        if correction.STAGE not in stages:
            continue
        tried = correction.correct(made.model.clone(), graph, recipe, made.ranges, calibration)
        if correction.IS_FITTED and tried.changed:
            before, after = error.of(made) if left is None else left, error.of(tried)
            if after >= before:
                tried = Corrected(made.model.clone(), made.ranges, 0)
            left = min(before, after)
        elif tried.changed:
            left = None
        done = tried.model.metadata_props.get(CORRECTIONS_KEY)
        tried.model.metadata_props[CORRECTIONS_KEY] = f"{done + ', ' if done else ''}{name} {tried.changed}"
        made = tried
    return made
