"""Recipe of the source as it is, which may be quantized or in half precision already."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from toolchain.candidates.candidate import Candidate
from toolchain.models.onnx_model import OnnxModel, load_ir, precision_of
from toolchain.recipes.apply_recipe import SOURCE_PRECISION
from toolchain.recipes.recipe import Recipe


def as_is(model: OnnxModel) -> Recipe:
    """Make the recipe that leaves a model as it is: its precision, and neither scheme nor calibration."""
    return Recipe(precision_of(load_ir(model.path)))


def with_source(candidates: Sequence[Candidate], source: Recipe) -> tuple[Candidate, ...]:
    """Replace candidates of the source's own precision by the source as it is, once per runtime."""
    found: dict[tuple[Recipe, str], Candidate] = {}
    for candidate in candidates:
        if candidate.recipe.precision in (SOURCE_PRECISION, source.precision):
            candidate = dataclasses.replace(candidate, recipe=source)
        found.setdefault((candidate.recipe, candidate.runtime), candidate)
    return tuple(found.values())


def note(source: Recipe) -> tuple[str, ...]:
    """Write a note on a source that is in a lower precision than fp32 already; none for other sources."""
    if source.precision == SOURCE_PRECISION:
        return ()
    return (f"The source is {source.precision} already; it is measured and packed as it is, under that name.",)
