"""Application of a recipe's corrections, as far as they bring int8's outputs closer to float's."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from hwbench.data.dataset import Dataset
from toolchain import corrections
from toolchain.corrections import Stage
from toolchain.graphs.value_range import Range
from toolchain.models.onnx_model import CORRECTIONS_KEY
from toolchain.recipes.output_error import Noise, OutputError
from toolchain.recipes.recipe import Recipe


def correct(
    graph: ir.Model,
    recipe: Recipe,
    stage: Stage,
    ranges: Mapping[str, Range],
    calibration: Dataset,
    error: OutputError | None = None,
    noise: Noise | None = None,
) -> ir.Model:
    """Apply the recipe's corrections of one stage.

    A correction that is fitted layer by layer may raise the error of the whole; it is left out then, and stays where
    there is nothing to compare. The graph's metadata, and so the file that is made of it, records how many operators
    each correction changed.

    Args:
        graph: the prepared graph; it stays unchanged.
        recipe: the recipe, whose `corrections` are applied in order.
        stage: "before" calibration, or "after" it.
        ranges: the calibrated ranges; empty before calibration.
        calibration: the samples.
        error: measures the error at the outputs of this graph; made here if None.
        noise: that of the graph as it is, if it was measured already.

    Returns:
        The corrected float graph.

    Raises:
        UsageError: a correction is unknown, or the samples cannot be used.
    """
    made, error = graph, error or OutputError(graph, recipe, calibration)
    left = noise  # that of what was made so far
    for name in recipe.corrections:
        correction = corrections.correction(name)
        if stage != correction.STAGE:
            continue
        tried, changed = correction.correct(made.clone(), graph, recipe, ranges, calibration)
        if correction.IS_FITTED and changed:
            before, after = left or error.of(made, ranges), error.of(tried, ranges)
            left = after
            if before.is_below(after):
                tried, changed, left = made.clone(), 0, before
        elif changed:
            left = None
        done = tried.metadata_props.get(CORRECTIONS_KEY)
        tried.metadata_props[CORRECTIONS_KEY] = f"{done + ', ' if done else ''}{name} {changed}"
        made = tried
    return made
