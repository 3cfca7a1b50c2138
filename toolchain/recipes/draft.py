"""Drafts: int8 with weights rounded to nearest and the ranges of a few samples, as fast as what is fitted to all.

Fitting ranges and weights to all samples takes most of the time in which an int8 candidate is made. A draft shows
whether the candidate is fast enough to be worth that: it has the same nodes, and only other constants.
"""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from toolchain import corrections
from toolchain.models.onnx_model import weights_bytes
from toolchain.recipes.recipe import BEST, OFFERED, Recipe

DRAFT_SAMPLES = 2
"""Samples that a draft's ranges are observed on, which are not those that it is scored with."""

MIN_WEIGHT_BYTES = 2 << 20
"""Size of a model's weights below which fitting takes no longer than to make a draft and run it in a child process."""


def draft_of(recipe: Recipe, graph: ir.Model) -> Recipe | None:
    """Make the recipe of a draft: without searching ranges, and without the corrections that are fitted.

    Args:
        recipe: the recipe that the candidate will have.
        graph: the prepared source.

    Returns:
        The recipe; None if a draft would save nothing, or if the graph has branches, which a few samples may not take.
    """
    if weights_bytes(graph) < MIN_WEIGHT_BYTES or any(
        node.graph is not graph.graph for node in graph.graph.all_nodes()
    ):
        return None
    method = OFFERED[0] if recipe.calibration == BEST else recipe.calibration
    plain = tuple(name for name in recipe.corrections if not corrections.correction(name).IS_FITTED)
    draft = dataclasses.replace(recipe, calibration=method, corrections=plain)
    return draft if draft != recipe else None
