"""The source as it is, under its own precision: it may come quantized, or in half precision, already."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from toolchain.candidates.candidate import Candidate
from toolchain.models.onnx_model import OnnxModel, load_ir, precision_of
from toolchain.recipes.apply_recipe import REFERENCE
from toolchain.recipes.recipe import Recipe


def as_is(model: OnnxModel) -> Recipe:
    """Give the recipe that leaves a model as it is: its precision, and neither scheme nor calibration."""
    return Recipe(precision_of(load_ir(model.path)))


def settle(plan: Sequence[Candidate], source: Recipe) -> tuple[Candidate, ...]:
    """Replace the source's precision in a list of candidates by the source itself, once per runtime."""
    settled: dict[tuple[Recipe, str], Candidate] = {}
    for candidate in plan:
        if candidate.recipe.precision in (REFERENCE, source.precision):
            candidate = dataclasses.replace(candidate, recipe=source)
        settled.setdefault((candidate.recipe, candidate.runtime), candidate)
    return tuple(settled.values())


def note(source: Recipe) -> tuple[str, ...]:
    """Note that a source is in a lower precision than fp32 already."""
    if source.precision == REFERENCE:
        return ()
    return (f"The source is {source.precision} already; it is measured and packed as it is, under that name.",)
